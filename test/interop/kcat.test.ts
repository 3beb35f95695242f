/** kcat (librdkafka as Debian has it), unmodified: each codec both ways, keys, headers, nulls, idempotent. */
import { spawn } from 'node:child_process'
import { expect } from 'vitest'
import { RelayClient } from '../support/relay-client.ts'
import { codecsStored } from './support/client-scenario.ts'
import { clientTest } from './support/compatibility.ts'
import { relayForClients } from './support/peer.ts'
import { RECORDS, readByOttla, writeByOttla } from './support/records.ts'

const CODECS = ['gzip', 'snappy', 'lz4', 'zstd'] as const
const base64 = (text: string) => Buffer.from(text).toString('base64')

function kcat(args: readonly string[], input = ''): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn('kcat', args, { timeout: 30_000 })
    const [out, err]: [Buffer[], Buffer[]] = [[], []]
    child.stdout.on('data', (chunk: Buffer) => out.push(chunk))
    child.stderr.on('data', (chunk: Buffer) => err.push(chunk))
    child.on('error', reject)
    child.on('close', (code) => {
      if (code === 0) resolve(Buffer.concat(out).toString())
      else reject(new Error(`kcat ${args.join(' ')} ended with ${code}: ${Buffer.concat(err)}`))
    })
    child.stdin.on('error', () => {})
    child.stdin.end(input)
  })
}

async function version(): Promise<string> {
  const [, own, library] = /Version ([\d.]+).*librdkafka ([\d.]+)/.exec(await kcat(['-V']))!
  return `${own} (librdkafka ${library})`
}

clientTest('kcat', 'writes in each codec what Ottla reads, and reads it again', async (show) => {
  const { relay, address, url } = await relayForClients()
  const long = 'compresses well, '.repeat(200)
  for (const codec of ['none', ...CODECS]) {
    const topic = `by-${codec}`
    await relay.engine.createTopic({ name: topic, partitionCount: 1, configs: {} })
    const lines = `k1:one\n:no key\nk2:\nlong:${long}\n`
    await kcat(['-b', address, '-P', '-t', topic, '-K:', '-Z', '-H', 'h=x', '-H', 'h2=y', '-z', codec], lines)
    const headers = [
      ['h', base64('x')],
      ['h2', base64('y')],
    ]
    const read = await readByOttla(url, topic, 4)
    expect(read.map(({ key, value, offset }) => ({ key, value, offset }))).toEqual([
      { key: base64('k1'), value: base64('one'), offset: 0 },
      { key: null, value: base64('no key'), offset: 1 },
      { key: base64('k2'), value: null, offset: 2 },
      { key: base64('long'), value: base64(long), offset: 3 },
    ])
    for (const record of read) expect(record.headers).toEqual(headers)
    expect(await codecsStored(await RelayClient.open(url), topic)).toContain(codec)
    const again = await kcat(['-b', address, '-C', '-t', topic, '-e', '-q', '-Z', '-f', '%o %k %s %h\\n'])
    expect(again.split('\n')[2]).toBe('2 k2 NULL h=x,h2=y')
  }
  show(await version(), 'produce', ...CODECS)
})

clientTest('kcat', 'reads what Ottla has written, by offset and by time', async (show) => {
  const { relay, address, url } = await relayForClients()
  await relay.engine.createTopic({ name: 'written', partitionCount: 1, configs: {} })
  await writeByOttla(url, 'written', RECORDS)
  const format = ['-f', '%o %T %K %S\\n']
  const lines = (await kcat(['-b', address, '-C', '-t', 'written', '-e', '-q', ...format])).trim().split('\n')
  const sizeOf = (text: string | null) => (text === null ? -1 : Buffer.from(text, 'base64').length)
  expect(lines).toEqual(
    RECORDS.map(({ timestamp, key, value }, offset) => `${offset} ${timestamp} ${sizeOf(key)} ${sizeOf(value)}`),
  )
  const newest = RECORDS.findIndex(({ timestamp }) => timestamp === Math.max(...RECORDS.map((each) => each.timestamp)))
  const since = ['-o', `s@${RECORDS[newest]!.timestamp}`, '-e', '-q', '-f', '%o\\n']
  expect((await kcat(['-b', address, '-C', '-t', 'written', ...since])).split('\n')[0]).toBe(String(newest))
  const query = await kcat(['-b', address, '-Q', '-t', 'written:0:-1'])
  expect(query).toContain(`offset ${RECORDS.length}`)
  show(await version(), 'consume')
})

clientTest('kcat', 'goes on from what its group has committed', async (show) => {
  const { relay, address, url } = await relayForClients()
  await relay.engine.createTopic({ name: 'shared', partitionCount: 1, configs: {} })
  await writeByOttla(url, 'shared', RECORDS)
  const read = (count: number) =>
    kcat(['-b', address, '-G', 'g', '-q', '-c', `${count}`, '-X', 'auto.offset.reset=earliest', '-f', '%o ', 'shared'])
  expect(await read(4)).toBe('0 1 2 3 ')
  expect(await read(2)).toBe('4 5 ')
  show(await version(), 'classic groups')
})

clientTest('kcat', 'idempotent producer and metadata', async (show) => {
  const { relay, address } = await relayForClients()
  await relay.engine.createTopic({ name: 'once', partitionCount: 1, configs: {} })
  await kcat(['-b', address, '-P', '-t', 'once', '-X', 'enable.idempotence=true'], 'a\nb\n')
  expect(relay.engine.topicByName('once')!.partitions[0]!.producers()).toMatchObject([{ lastSequence: 1 }])
  const listed = JSON.parse(await kcat(['-b', address, '-L', '-J'])) as {
    controllerid: number
    brokers: unknown[]
    topics: Array<{ topic: string; partitions: unknown[] }>
  }
  expect(listed).toMatchObject({ controllerid: 1, brokers: [{ id: 1, name: address }] })
  expect(listed.topics).toMatchObject([{ topic: 'once', partitions: [{ partition: 0, leader: 1, isrs: [{ id: 1 }] }] }])
  show(await version(), 'idempotent', ['admin', 'the program has none'], ['KIP-848 groups', 'the client has none'])
})
