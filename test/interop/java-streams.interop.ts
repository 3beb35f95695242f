/** Apache Kafka's Streams, unmodified, with the protocol of its own (KIP-1071). */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, onTestFinished } from 'vitest'
import { streamsGroupDescribe } from '../../protocol/messages/streams-groups.ts'
import { eventually } from '../support/eventually.ts'
import { temporaryFolder } from '../support/relay.ts'
import { RelayClient } from '../support/relay-client.ts'
import { clientTest } from './support/compatibility.ts'
import { cacheFolder, fromHere } from './support/driver.ts'
import { relayForClients } from './support/peer.ts'
import { readByOttla } from './support/records.ts'

const run = promisify(execFile)
const VERSION = '4.3.1'
const CLASS_PATH = `${cacheFolder}/kafka-${VERSION}/*:${cacheFolder}/kafka-streams-${VERSION}/*`
const JAVA = ['-XX:TieredStopAtLevel=1', '-cp', CLASS_PATH]

async function startCounter(address: string, name: string): Promise<ChildProcess & { said: () => string }> {
  const program = fromHere('../clients/java/StreamsCounter.java')
  const child = spawn('java', [...JAVA, program, address, 'counter', name, join(await temporaryFolder(), name)])
  let said = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (said += chunk))
  onTestFinished(() => void child.kill('SIGKILL'))
  return Object.assign(child, { said: () => said })
}

const runs = (counter: { said: () => string }) =>
  eventually(() => counter.said().includes('READY'), { withinMs: 60_000, what: `a counter runs:\n${counter.said()}` })

clientTest(
  'Java client',
  `[STG-10] ${VERSION}: Kafka Streams counts words in two processes, one of which is killed`,
  async (show) => {
    const { relay, address, url } = await relayForClients()
    const client = await RelayClient.open(url)
    const lines = await client.createTopic('lines', { partitions: 2 })
    await client.createTopic('counts')
    const [one, two] = [await startCounter(address, 'one'), await startCounter(address, 'two')]
    await runs(one)
    await runs(two)
    const words = new Map<string, number>()
    const write = async (from: number, to: number) => {
      for (let index = from; index < to; index++) {
        const line = [`w${index % 7}`, `w${index % 5}`, 'all']
        for (const word of line) words.set(word, (words.get(word) ?? 0) + 1)
        await client.produce(lines, [line.join(' ')], index % 2)
      }
    }
    const isCounted = async () => {
      const end = relay.engine.topicByName('counts')!.partitions[0]!.highWatermark
      if (end === 0) return false
      const counts = new Map<string, string>()
      const total = [...words.values()].reduce((sum, count) => sum + count, 0)
      const records = await readByOttla(url, 'counts', total)
      for (const { key, value } of records) counts.set(atob(key!), atob(value!))
      return [...words].every(([word, count]) => counts.get(word) === String(count))
    }
    await write(0, 40)
    await eventually(isCounted, { withinMs: 60_000, what: 'words are counted' })
    expect(relay.engine.topicByName('counter-counts-repartition')!.partitions).toHaveLength(2)
    const changelog = relay.engine.topicByName('counter-counts-changelog')!
    expect(changelog.partitions).toHaveLength(2)
    expect(changelog.configOverrides).toMatchObject({ 'cleanup.policy': 'compact' })

    const describe = async () => (await client.call(streamsGroupDescribe, { groupIds: ['counter'] })).groups[0]!
    const group = await eventually(
      async () => {
        const described = await describe()
        return described.groupState === 'Stable' ? described : undefined
      },
      { withinMs: 30_000, what: 'the group is stable' },
    )
    expect(group).toMatchObject({ errorCode: 0, groupState: 'Stable', topology: { epoch: 0 } })
    const tasks = group.members.map(({ assignment }) =>
      assignment.activeTasks.flatMap(({ subtopologyId, partitions }) =>
        partitions.map((each) => `${subtopologyId}_${each}`),
      ),
    )
    expect(tasks.flat().sort()).toEqual(['0_0', '0_1', '1_0', '1_1'])
    expect(tasks.map((each) => each.length)).toEqual([2, 2])
    const tool = 'org.apache.kafka.tools.streams.StreamsGroupCommand'
    const listed = await run('java', [...JAVA, tool, '--bootstrap-server', address, '--list'])
    expect(listed.stdout).toContain('counter')

    two.kill('SIGKILL')
    await write(40, 80)
    await eventually(isCounted, {
      withinMs: 120_000,
      what: `what the killed process had is counted on:\n${one.said()}`,
    })
    one.stdin!.end()
    await eventually(() => one.said().includes('CLOSED'), { withinMs: 30_000, what: 'the counter closes' })
    show(VERSION, 'streams groups')
  },
  300_000,
)
