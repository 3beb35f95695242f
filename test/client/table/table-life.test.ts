/** Tables through reloads, time offline, compaction, and everything that can become of their topic. */
import 'fake-indexeddb/auto'
import { afterEach, beforeEach, expect, onTestFinished, test } from 'vitest'
import {
  type ConnectOptions,
  connect,
  json,
  type Ottla,
  string,
  type Table,
  type TableOptions,
} from '../../../client/index.ts'
import { randomBelow, seededRandom } from '../../../protocol/lib/random.ts'
import { createRelay, type Relay } from '../../../server/relay.ts'
import { MemoryFiles } from '../../../server/storage/memory-files.ts'
import { eventually } from '../../support/eventually.ts'

let relay: Relay
let files: MemoryFiles
let port = 0
let replicas = 0

beforeEach(async () => {
  files = new MemoryFiles()
  port = 0
  await startRelay()
})

afterEach(async () => {
  await relay.close()
})

async function startRelay(): Promise<void> {
  relay = await createRelay({ files, config: { dataDir: 'data', httpPort: port, compactionCheckMs: 20 } })
  port = Number(new URL(relay.http.url).port)
}

async function client(options: ConnectOptions = {}): Promise<Ottla> {
  const ottla = await connect(relay.websocket.url, { backoff: { delayMsFirst: 20, delayMsMax: 100 }, ...options })
  onTestFinished(() => ottla.close())
  return ottla
}

const newReplica = () => `table-life-${replicas++}`
const offline = (ottla: Ottla) => eventually(() => ottla.status.connection.phase !== 'live', { what: 'offline' })
const open = (ottla: Ottla, options: TableOptions<string, string> = {}) =>
  ottla.table('notes', { value: string, ...options })

async function makeTopic(configs: Record<string, string> = {}, partitions = 1): Promise<Ottla> {
  const ottla = await client()
  const compact = { 'cleanup.policy': 'compact', 'segment.bytes': '1024', 'min.cleanable.dirty.ratio': '0' }
  await ottla.admin.createTopics([{ name: 'notes', partitions, configs: { ...compact, ...configs } }])
  return ottla
}

/** What the log says now: a map folded over all of it. */
async function logOf(ottla: Ottla): Promise<Record<string, string>> {
  const rows = new Map<string, string>()
  const topic = ottla.topic('notes', { value: string, replica: false })
  for await (const { key, value } of topic.read({ from: 'beginning', follow: false })) {
    if (value === null) rows.delete(key!)
    else rows.set(key!, value)
  }
  return Object.fromEntries([...rows].sort(([a], [b]) => (a < b ? -1 : 1)))
}

async function rowsOf(table: Table<string, string>): Promise<Record<string, string>> {
  return Object.fromEntries((await table.range()).map(({ key, value }) => [key, value]))
}

const settledAs = (table: Table<string, string>, wanted: Record<string, string>) =>
  eventually(async () => expect(await rowsOf(table)).toEqual(wanted) ?? true, { withinMs: 10_000, everyMs: 20 })

test.each([1, 2, 3])('[TAB-9] a table is the fold of its log, whatever happens in between (seed %i)', async (seed) => {
  const random = seededRandom(seed)
  const admin = await makeTopic({ 'delete.retention.ms': '86400000' }, 2)
  const others = admin.topic('notes', { value: string })
  const replica = newReplica()
  let ottla = await client({ replica })
  let table = await open(ottla)
  const someKey = () => `k${randomBelow(random, 12)}`
  const steps: Array<() => Promise<unknown>> = [
    async () => table.put(someKey(), `mine ${random.next()}`.padEnd(80, '.')).stored,
    async () => table.delete(someKey()).stored,
    async () => others.send({ key: someKey(), value: `theirs ${random.next()}`.padEnd(80, '.') }).committed,
    async () => others.send({ key: someKey(), value: null }).committed,
    async () => ottla.transaction((tx) => [1, 2].map(() => tx.send(table, { key: someKey(), value: 'together' }))),
    async () => {
      await ottla.close()
      ottla = await client({ replica })
      table = await open(ottla)
    },
    async () => {
      await relay.close()
      await table.put(someKey(), 'offline').stored
      await startRelay()
    },
  ]
  for (let round = 0; round < 4; round++) {
    for (let count = 0; count < 25; count++) await steps[randomBelow(random, count % 5 === 0 ? 7 : 5)]!()
    await eventually(() => ottla.status.outbox.pendingEntries === 0, { withinMs: 10_000 })
    await settledAs(table, await logOf(admin))
  }
  // A write shows the value of its record until the record itself was taken in, a moment after its acknowledgement.
  await eventually(async () => (await table.range()).every(({ state }) => state === 'committed'), {
    what: 'every row comes from the log',
  })
})

test('[TAB-10] after a reload without network rows, pending writes and indexes are there', async () => {
  await makeTopic()
  const replica = newReplica()
  const before = await client({ replica })
  const table = await before.table('notes', { value: json<{ n: number }>(), indexes: { byN: 'n' } })
  await table.put('a', { n: 2 }).committed
  await eventually(async () => (await table.get('a'))?.state === 'committed')
  await relay.close()
  await offline(before)
  await table.put('b', { n: 1 }).stored
  await before.close()
  const after = await client({ replica })
  const again = await after.table('notes', { value: json<{ n: number }>(), indexes: { byN: 'n' } })
  expect(again.state).toMatchObject({ isReady: true, isUpToDate: false })
  expect((await again.range({ index: 'byN' })).map(({ key, state }) => [key, state])).toEqual([
    ['b', 'pending'],
    ['a', 'committed'],
  ])
  await startRelay()
  await eventually(async () => (await again.get('b'))?.state === 'committed')
})

test('[TAB-11] an index with another path, or a new one, is made anew over the rows that are there', async () => {
  await makeTopic()
  const replica = newReplica()
  const value = json<{ a: string; b: string }>()
  const first = await client({ replica })
  const table = await first.table('notes', { value, indexes: { by: 'a', old: 'b' } })
  for (let count = 0; count < 1_200; count++) table.put(`k${count}`, { a: `a${count % 3}`, b: `b${count % 5}` })
  await eventually(async () => table.state.isUpToDate && (await table.count({ index: 'by', equals: 'a0' })) === 400, {
    withinMs: 20_000,
  })
  await eventually(() => first.status.outbox.pendingEntries === 0, { withinMs: 20_000 })
  await first.close()
  const second = await client({ replica })
  const again = await second.table('notes', { value, indexes: { by: 'b' } })
  expect(await again.count({ index: 'by', equals: 'b0' })).toBe(240)
  expect(await again.count({ index: 'by', equals: 'a0' })).toBe(0)
  const more = await second.table('notes', { value, indexes: { byA: 'a' } })
  expect(await more.count({ index: 'byA', equals: 'a1' })).toBe(400)
  expect(await again.count({ index: 'by', equals: 'b1' })).toBe(240)
})

test('[TAB-12] a deletion that was compacted away while the device was gone is noticed', async () => {
  const admin = await makeTopic({ 'delete.retention.ms': '0' })
  const replica = newReplica()
  const first = await client({ replica })
  const table = await open(first)
  await table.put('gone', 'x').committed
  await table.put('kept', 'y').committed
  await settledAs(table, { gone: 'x', kept: 'y' })
  await eventually(() => table.state.isUpToDate)
  await first.close()
  const others = admin.topic('notes', { value: string })
  await others.send({ key: 'gone', value: null }).committed
  for (let count = 0; count < 30; count++)
    await others.send({ key: 'noise', value: `${count}`.padEnd(200, '.') }).committed
  const offsets: number[] = []
  await eventually(
    async () => {
      offsets.length = 0
      for await (const { key } of others.read({ from: 'beginning', follow: false })) if (key === 'gone') offsets.push(1)
      return offsets.length === 0
    },
    { withinMs: 15_000, everyMs: 50, what: 'the tombstone is compacted away' },
  )
  const again = await open(await client({ replica }), { tombstonesKeptMs: 1 })
  await settledAs(again, await logOf(admin))
  expect(await again.get('gone')).toBeUndefined()
})

test('[TAB-13] what the log no longer has from its start on goes; a topic made anew begins empty', async () => {
  const admin = await makeTopic({ 'cleanup.policy': 'compact,delete' })
  const ottla = await client({ replica: newReplica() })
  const table = await open(ottla)
  for (const key of ['a', 'b', 'c']) await table.put(key, key).committed
  await settledAs(table, { a: 'a', b: 'b', c: 'c' })
  await admin.admin.deleteRecords([{ topic: 'notes', partition: 0, beforeOffset: 2 }])
  await table.put('d', 'd').committed
  await settledAs(table, { c: 'c', d: 'd' })
  await admin.admin.deleteTopics(['notes'])
  await admin.admin.createTopics([{ name: 'notes', configs: { 'cleanup.policy': 'compact' } }])
  await admin.topic('notes', { value: string }).send({ key: 'z', value: 'new' }).committed
  await settledAs(table, { z: 'new' })
})

test('[TAB-14] without a replica of the log, only what the table has not taken in is kept', async () => {
  const admin = await makeTopic({ 'segment.bytes': '104857600' })
  const topic = admin.topic('notes', { value: string })
  const ottla = await client({ replica: newReplica() })
  const table = await open(ottla)
  topic.sendAll(
    Array.from({ length: 300 }, (_, index) => ({ key: `k${index}`, value: `${index}`.padEnd(20_000, '.') })),
  )
  await topic.flush()
  const held = () => ottla.status.topics.find(({ name }) => name === 'notes')!.replica[0]!
  await eventually(async () => (await table.count()) === 300 && held().start > 100, { withinMs: 20_000 })
  // The log is wanted after all: it is fetched again, and the table stays what it is.
  await ottla.topic('notes', { value: string }).replicate()
  await eventually(() => held().start === 0 && held().end === 300, { withinMs: 20_000 })
  await eventually(() => table.state.isUpToDate, { withinMs: 20_000 })
  expect(await table.count()).toBe(300)
})

test('[TAB-20] a table that needs the log from its start takes nothing back from readers, and tells them of no gap', async () => {
  const admin = await makeTopic({ 'segment.bytes': '104857600' })
  const others = admin.topic('notes', { value: string })
  for (let count = 0; count < 20; count++) await others.send({ key: `k${count}`, value: `${count}` }).committed
  const ottla = await client({ replica: newReplica() })
  const reader = ottla.topic('notes', { value: string, replica: { lastRecords: 5 } }).read({ from: 'beginning' })
  const gaps: unknown[] = []
  const offsets: number[] = []
  reader.onGap((gap) => gaps.push(gap))
  void (async () => {
    for await (const { offset } of reader) offsets.push(offset)
  })()
  await eventually(() => offsets.length === 5)
  const table = await open(ottla, { log: { lastRecords: 5 } })
  await eventually(async () => (await table.count()) === 20)
  await others.send({ key: 'k20', value: '20' }).committed
  await eventually(() => offsets.at(-1) === 20)
  expect(offsets).toEqual([15, 16, 17, 18, 19, 20])
  expect(gaps).toEqual([])
  await reader.close()
})
