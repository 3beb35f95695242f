/** Apache Kafka's own share consumer and the tools for share groups, unmodified (KIP-932). */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { expect } from 'vitest'
import { configureGroup, ShareMember } from '../server/groups/share/share-member.ts'
import { RelayClient } from '../support/relay-client.ts'
import { clientTest } from './support/compatibility.ts'
import { cacheFolder, fromHere } from './support/driver.ts'
import { relayForClients } from './support/peer.ts'

const run = promisify(execFile)
const VERSION = '4.3.1'

async function java(...args: readonly string[]): Promise<string> {
  const all = ['-XX:TieredStopAtLevel=1', '-cp', `${cacheFolder}/kafka-${VERSION}/*`, ...args]
  const running = run('java', all, { timeout: 90_000, maxBuffer: 2 ** 24 })
  const { stdout, stderr } = await running.catch((error: { stdout: string; stderr: string }) => {
    throw new Error(`${args.join(' ')}\n${error.stdout.slice(-4000)}\n${error.stderr.slice(-6000)}`)
  })
  return stdout + stderr
}

const groups = (address: string, ...args: readonly string[]) =>
  java('org.apache.kafka.tools.consumer.group.ShareGroupCommand', '--bootstrap-server', address, ...args)

async function openTopic(values: readonly string[], batchSize = 5) {
  const { address, url } = await relayForClients()
  const client = await RelayClient.open(url)
  const topicId = await client.createTopic('t')
  for (let from = 0; from < values.length; from += batchSize)
    await client.produce(topicId, values.slice(from, from + batchSize))
  await configureGroup(client, 'sharers', { 'share.auto.offset.reset': 'earliest' })
  return { address, client, topicId }
}

clientTest(
  'Java client',
  `[SHR-15] ${VERSION}: two share consumers accept, release, reject and renew`,
  async (show) => {
    const values = Array.from(
      { length: 60 },
      (_, index) => `${['release', 'reject', 'renew', 'plain'][index % 4]}-${index}`,
    )
    const { address } = await openTopic(values)
    const said = await java(
      fromHere('../clients/java/ShareMembers.java'),
      address,
      't',
      'sharers',
      String(values.length),
    )
    const lines = [...said.matchAll(/^(one|two) ([A-Z]+) (\d+) (\d)$/gm)].map(([, , what, offset, delivery]) => ({
      ...{ what: what!, offset: Number(offset), delivery: Number(delivery) },
    }))
    const of = (what: string) => lines.filter((line) => line.what === what)
    const offsets = (what: string) =>
      of(what)
        .map(({ offset }) => offset)
        .sort((a, b) => a - b)
    const every = (...kinds: number[]) => values.map((_, index) => index).filter((index) => kinds.includes(index % 4))
    expect(offsets('RELEASE')).toEqual(every(0))
    expect(offsets('REJECT')).toEqual(every(1))
    expect(offsets('RENEW')).toEqual(every(2))
    expect(offsets('ACCEPT')).toEqual(every(0, 2, 3))
    expect(
      of('ACCEPT')
        .filter(({ offset }) => offset % 4 === 0)
        .every(({ delivery }) => delivery === 2),
    ).toBe(true)
    const described = await groups(address, '--describe', '--group', 'sharers', '--offsets')
    expect(described).toMatch(/sharers\s+t\s+0\s+60\s+0/)
    show(VERSION, 'share groups')
  },
  120_000,
)

clientTest(
  'Java tools',
  `[SHR-15] ${VERSION}: console share consumer, share groups`,
  async (show) => {
    const { address, client, topicId } = await openTopic(['a', 'b', 'c'])
    const reading = ['--bootstrap-server', address, '--topic', 't', '--group', 'sharers']
    const console = 'org.apache.kafka.tools.consumer.ConsoleShareConsumer'
    const printed = await java(console, ...reading, '--max-messages', '3', '--timeout-ms', '20000')
    expect(printed).toMatch(/^a\nb\nc\n/m)
    expect(await groups(address, '--list')).toContain('sharers')
    expect(await groups(address, '--list', '--state')).toMatch(/sharers\s+Empty/)

    const member = new ShareMember(client, 'AAAAAAAAAAAAAAAAAAAAAQ', 'sharers')
    await member.join('t')
    const describing = ['--describe', '--group', 'sharers']
    expect(await groups(address, ...describing, '--members')).toMatch(
      /sharers\s+AAAAAAAAAAAAAAAAAAAAAQ\s+\/127.0.0.1\s+test/,
    )
    expect(await groups(address, ...describing, '--state')).toMatch(/sharers\s.*Stable\s+1/)
    expect(await groups(address, ...describing)).toMatch(/sharers\s+t\s+0\s+3\s+0/)
    const reset = ['--reset-offsets', '--to-earliest', '--topic', 't', '--execute', '--group', 'sharers']
    await expect(groups(address, ...reset)).rejects.toThrow('is not empty')
    await member.leave()
    await groups(address, ...reset)
    expect(await groups(address, ...describing)).toMatch(/sharers\s+t\s+0\s+0\s+3/)
    await new ShareMember(client, 'AAAAAAAAAAAAAAAAAAAAAg', 'sharers').join('t')
    const again = new ShareMember(client, 'AAAAAAAAAAAAAAAAAAAAAg', 'sharers')
    expect((await again.fetch(topicId)).map(({ value }) => value)).toEqual(['a', 'b', 'c'])
    await again.closeSession()
    await again.leave()
    expect(await groups(address, '--delete-offsets', '--topic', 't', '--group', 'sharers')).toMatch(/Successful/)
    expect(await groups(address, '--delete', '--group', 'sharers')).toMatch(/successful/i)
    expect(await groups(address, '--list')).not.toContain('sharers')
    show(VERSION, 'share groups')
  },
  240_000,
)
