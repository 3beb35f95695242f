/** The whole client core on fake-indexeddb against the real relay over a real WebSocket. */
import 'fake-indexeddb/auto'
import { deleteDB } from 'idb'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Advanced, Settled } from '../../../client/core.ts'
import type { LocalCore, LocalCoreOptions } from '../../../client/local-core-options.ts'
import { openLocalCore } from '../../../client/open-local-core.ts'
import { openCore, sessionOpener } from '../../../client/own-connection.ts'
import { databaseName } from '../../../client/replica/idb-format.ts'
import { systemClock } from '../../../protocol/lib/clock.ts'
import { systemRandom } from '../../../protocol/lib/random.ts'
import { batchesIn } from '../../../protocol/record-batch.ts'
import { decodeRecords, encodeBatch } from '../../../protocol/records.ts'
import { createRelay, type Relay } from '../../../server/relay.ts'
import { MemoryFiles } from '../../../server/storage/memory-files.ts'
import { eventually } from '../../support/eventually.ts'

let relay: Relay
let files: MemoryFiles
let port = 0
let cores: LocalCore[] = []
let replicas = 0
let replica = ''

beforeEach(async () => {
  files = new MemoryFiles()
  port = 0
  await startRelay()
  replica = `core-${replicas++}`
})

afterEach(async () => {
  await Promise.all(cores.map((core) => core.close()))
  cores = []
  await relay.close()
})

async function startRelay(): Promise<void> {
  relay = await createRelay({ files, config: { dataDir: 'data', httpPort: port } })
  port = Number(new URL(relay.http.url).port)
}

async function open(outbox: LocalCoreOptions['outbox'] = {}): Promise<LocalCore> {
  const openSession = await sessionOpener(relay.websocket.url, { backoff: { delayMsFirst: 20, delayMsMax: 50 } })
  const core = await openLocalCore({ replica, clock: systemClock, random: systemRandom, openSession, outbox })
  cores.push(core)
  return core
}

const live = (core: LocalCore) => eventually(() => core.status().connection.phase === 'live', { what: 'live' })

async function createTopic(core: LocalCore, name: string, numPartitions = 1): Promise<void> {
  await live(core)
  const topics = [{ name, numPartitions, replicationFactor: 1, assignments: [], configs: [] }]
  await core.request('CreateTopics', { topics, timeoutMs: 5_000, validateOnly: false })
}

let writes = 0
function write(topic: string, values: string[], partition: number | null = 0) {
  const encoder = new TextEncoder()
  const records = values.map((value) => ({ key: null, value: encoder.encode(value), timestamp: 1_700_000_000_000 }))
  return { id: `write-${writes++}`, topic, partition, batch: encodeBatch(records) }
}

async function held(core: LocalCore, topic: string, partition = 0): Promise<string[]> {
  const range = core
    .status()
    .topics.find(({ name }) => name === topic)
    ?.replica.find((each) => each.partition === partition)
  if (!range) return []
  const values: string[] = []
  for (let offset = range.start; offset < range.end; ) {
    const chunks = await core.readReplica(range.topicId, partition, offset, 100_000)
    if (chunks.length === 0) break
    for (const chunk of chunks) {
      for (const { at, end, header } of batchesIn(chunk.batches)) {
        const block = chunk.batches.subarray(at + 61, end)
        for (const { value } of decodeRecords(header, block)) values.push(new TextDecoder().decode(value!))
      }
      offset = chunk.nextOffset
    }
  }
  return values
}

const isUpTo = (core: LocalCore, topic: string, end: number) =>
  eventually(
    () => {
      const ranges = core.status().topics.find(({ name }) => name === topic)?.replica ?? []
      return (
        ranges.length > 0 &&
        ranges.every(({ upToDate }) => upToDate) &&
        ranges.reduce((sum, each) => sum + each.end, 0) === end
      )
    },
    { what: `${topic} up to ${end}` },
  )

const numbers = (from: number, to: number) => Array.from({ length: to - from }, (_, index) => `value-${from + index}`)

test('writes are stored, committed with their offsets, and come back through the replica', async () => {
  const core = await open()
  await createTopic(core, 'flights')
  const settled: Settled[] = []
  core.onSettled((all) => settled.push(...all))
  await core.replicate('flights', {})
  for (const value of numbers(0, 50))
    expect(await core.enqueue(write('flights', [value]))).toEqual({ durability: 'device' })
  await eventually(() => settled.length === 50)
  expect(settled.flatMap((each) => (each.outcome === 'committed' ? each.offsets : []))).toEqual(
    numbers(0, 50).map((_, i) => i),
  )
  await isUpTo(core, 'flights', 50)
  expect(await held(core, 'flights')).toEqual(numbers(0, 50))
  expect(core.status().outbox.pendingEntries).toBe(0)
})

test('[REP-8] a replica is readable at once without the relay, and writes made offline arrive once it is back', async () => {
  const first = await open()
  await createTopic(first, 'flights')
  await first.replicate('flights', {})
  await first.enqueue(write('flights', numbers(0, 10)))
  await isUpTo(first, 'flights', 10)
  await first.close()
  await relay.close()

  const second = await open()
  const [range] = await second.replicate('flights', {})
  expect(range).toMatchObject({ start: 0, end: 10, upToDate: false, relayEnd: -1 })
  expect(await second.topic('flights')).toMatchObject({ name: 'flights', partitionCount: 1 })
  expect(await held(second, 'flights')).toEqual(numbers(0, 10))
  await second.enqueue(write('flights', numbers(10, 12)))
  await second.enqueue(write('flights', numbers(12, 13), null))
  expect(second.status().outbox).toMatchObject({ pendingEntries: 2, pendingRecords: 3 })
  await second.close()

  await startRelay()
  const third = await open()
  await isUpTo(third, 'flights', 13)
  expect(await held(third, 'flights')).toEqual(numbers(0, 13))
})

test('[REP-6] a topic that is made anew begins again under its new id and a new generation', async () => {
  const core = await open()
  await createTopic(core, 'flights')
  await core.replicate('flights', {})
  await core.enqueue(write('flights', numbers(0, 10)))
  await isUpTo(core, 'flights', 10)
  const before = core.status().topics[0]!.replica[0]!
  await core.request('DeleteTopics', {
    topicNames: ['flights'],
    topics: [{ name: 'flights', topicId: before.topicId }],
    timeoutMs: 5_000,
  })
  await createTopic(core, 'flights')
  await core.enqueue(write('flights', numbers(100, 103)))
  await isUpTo(core, 'flights', 3)
  const after = core.status().topics[0]!.replica[0]!
  expect(after.topicId).not.toBe(before.topicId)
  expect(after.generation).toBeGreaterThan(before.generation)
  expect(await held(core, 'flights')).toEqual(numbers(100, 103))
})

test('[REP-5] a log that was truncated while away cuts the replica, in one step and with a new generation', async () => {
  const first = await open()
  await createTopic(first, 'flights')
  await first.replicate('flights', {})
  for (let index = 0; index < 10; index++) {
    await first.enqueue(write('flights', numbers(index * 2, index * 2 + 2)))
    await isUpTo(first, 'flights', index * 2 + 2)
  }
  const { id } = await first.topic('flights')
  await first.close()
  await relay.engine.topicById(id)!.partitions[0]!.truncateTo(8)

  const second = await open()
  const advanced: Advanced[] = []
  second.onAdvanced((all) => advanced.push(...all))
  await second.enqueue(write('flights', numbers(200, 202)))
  await eventually(async () => (await held(second, 'flights')).includes('value-200'))
  expect(await held(second, 'flights')).toEqual([...numbers(0, 8), ...numbers(200, 202)])
  const cut = advanced.find(({ generation }) => generation > 0)
  expect(cut).toMatchObject({ cutAt: 8, generation: 1 })
})

test('[REP-3] a cleared database is noticed, the replica begins anew, and writes in memory are kept', async () => {
  const core = await open()
  await createTopic(core, 'flights')
  await core.replicate('flights', {})
  await core.enqueue(write('flights', numbers(0, 10)))
  await isUpTo(core, 'flights', 10)
  await deleteDB(databaseName(replica))
  await core.enqueue(write('flights', numbers(10, 12)))
  await isUpTo(core, 'flights', 12)
  expect(await held(core, 'flights')).toEqual(numbers(0, 12))
  expect(core.status().topics[0]!.replica[0]!.generation).toBe(1)
})

test('[REP-2] a second core on the same database takes over; the first ends and says so', async () => {
  const first = await open()
  await createTopic(first, 'flights')
  const second = await open()
  await expect(first.enqueue(write('flights', ['late']))).rejects.toMatchObject({ code: 'REPLACED' })
  await second.enqueue(write('flights', ['first']))
  await second.replicate('flights', {})
  await isUpTo(second, 'flights', 1)
  expect(await held(second, 'flights')).toEqual(['first'])
  await eventually(() => first.status().state === 'closed')
})

test('a replica of the last records holds about as many, and skips what it would drop', async () => {
  const core = await open()
  await createTopic(core, 'flights')
  for (let index = 0; index < 60; index++) await core.enqueue(write('flights', numbers(index * 100, index * 100 + 100)))
  await eventually(() => core.status().outbox.pendingEntries === 0)
  await core.replicate('flights', { lastRecords: 500 })
  await isUpTo(core, 'flights', 6_000)
  const { start } = core.status().topics[0]!.replica[0]!
  expect(start).toBeGreaterThan(2_000)
  expect(start).toBeLessThanOrEqual(5_500)
  expect((await held(core, 'flights')).at(-1)).toBe('value-5999')
})

test('without a replica name everything is in memory and says so', async () => {
  const memory = await openCore(await sessionOpener(relay.websocket.url, {}), {})
  cores.push(memory)
  await createTopic(memory, 'flights', 3)
  expect(await memory.enqueue(write('flights', ['a'], null))).toEqual({ durability: 'memory' })
  await eventually(() => memory.status().outbox.pendingEntries === 0)
})

test('writes to a topic that does not exist are parked, and go out after it was made and they are retried', async () => {
  const core = await open({ missingTopicGraceMs: 300 })
  await live(core)
  const settled: Settled[] = []
  core.onSettled((all) => settled.push(...all))
  const lost = write('nowhere', ['a'], null)
  await core.enqueue(lost)
  await eventually(() => settled.length === 1, { withinMs: 12_000 })
  expect(settled[0]).toMatchObject({ id: lost.id, outcome: 'parked', error: { code: 'UNKNOWN_TOPIC' } })
  await createTopic(core, 'nowhere')
  await core.outbox.retry(lost.id)
  await eventually(() => settled.length === 2)
  expect(settled[1]).toMatchObject({ id: lost.id, outcome: 'committed', partitions: [0], offsets: [0] })
  expect(await core.outcomes([lost.id, 'never'])).toMatchObject([
    { outcome: 'committed' },
    { id: 'never', outcome: 'unknown' },
  ])
})
