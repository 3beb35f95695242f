/** Every reader of the client against a real relay on which transactions interleave, compared with their account. */
import 'fake-indexeddb/auto'
import { openDB } from 'idb'
import { afterEach, expect, onTestFinished, test } from 'vitest'
import { WebSocket } from 'ws'
import { connect, type Ottla, type ReadOptions, string } from '../../client/index.ts'
import { type TailPosition, tail } from '../../client/live.ts'
import { databaseName } from '../../client/replica/idb-format.ts'
import { type Random, seededRandom } from '../../protocol/lib/random.ts'
import type { PartitionLog } from '../../server/log/partition-log.ts'
import { createRelay, type Relay } from '../../server/relay.ts'
import { MemoryFiles } from '../../server/storage/memory-files.ts'
import { batchOf } from '../support/batches.ts'
import { eventually } from '../support/eventually.ts'
import { InterleavedTransactions, type Placed } from '../support/transactions.ts'

let relay: Relay
let replicas = 0

afterEach(() => relay.close())

async function setUp(seed: number) {
  relay = await createRelay({ files: new MemoryFiles(), config: { dataDir: 'data', httpPort: 0 } })
  const ottla = await open()
  await ottla.admin.createTopics([{ name: 't', partitions: 1 }])
  const log = relay.engine.topicByName('t')!.partitions[0]!
  const random = seededRandom(seed)
  return { ottla, log, random, account: new InterleavedTransactions(log, random) }
}

async function open(options: Parameters<typeof connect>[1] = {}): Promise<Ottla> {
  const ottla = await connect(relay.websocket.url, { backoff: { delayMsFirst: 20, delayMsMax: 50 }, ...options })
  onTestFinished(() => ottla.close())
  return ottla
}

async function write(account: InterleavedTransactions, steps: number): Promise<void> {
  for (let step = 0; step < steps; step++) await account.step()
  await account.written()
}

/** All that there is now. */
async function readAll(ottla: Ottla, options: ReadOptions = {}): Promise<Placed[]> {
  const placed: Placed[] = []
  const reader = ottla.topic('t', { value: string }).read({ from: 'beginning', follow: false, ...options })
  for await (const { offset, value, gap } of reader) {
    expect(gap).toBeUndefined()
    placed.push({ offset, value: value! })
  }
  return placed
}

/** What a reader gives as it goes; it ends with the test. */
function following(ottla: Ottla, options: ReadOptions = {}) {
  const placed: Placed[] = []
  const reader = ottla.topic('t', { value: string }).read({ from: 'beginning', ...options })
  onTestFinished(() => reader.close())
  void reader.each(({ offset, value }) => placed.push({ offset, value: value! })).catch(() => {})
  return { reader, placed }
}

const everywhere = (log: PartitionLog, random: Random) => Math.floor(random.next() * log.endOffset)

test('[TXN-50] live readers give what their isolation says, from any offset, while transactions go on', async () => {
  const { ottla, log, random, account } = await setUp(50)
  const committed = following(ottla)
  const uncommitted = following(await open(), { isolation: 'uncommitted' })
  for (let round = 0; round < 8; round++) {
    await write(account, 60)
    expect(await readAll(ottla)).toEqual(account.committed())
    const offset = everywhere(log, random)
    expect(await readAll(ottla, { from: { offset } })).toEqual(account.committed(offset))
    expect(await readAll(ottla, { from: { offset }, isolation: 'uncommitted' })).toEqual(account.all(offset))
    await eventually(() => uncommitted.placed.length === account.all().length)
  }
  await eventually(() => committed.placed.length === account.committed().length)
  expect(log.lastStableOffset).toBeLessThan(log.highWatermark)
  expect(committed.placed).toEqual(account.committed())
  expect(uncommitted.placed).toEqual(account.all())
}, 60_000)

test('[TXN-51] a reader of committed records is up to date at an open transaction, and goes on when that has ended', async () => {
  const { ottla, log } = await setUp(51)
  const inTransaction = (value: string, sequence: number) =>
    batchOf([value], { producer: { id: 7, sequence, isTransactional: true } })
  const end = (outcome: 'commit' | 'abort') =>
    log.appendMarker({ producerId: 7, producerEpoch: 0, coordinatorEpoch: 0, outcome }).durable
  await log.append(batchOf(['plain'])).durable
  await log.append(inTransaction('committed', 0)).durable
  const { reader, placed } = following(ottla)
  await reader.upToDate
  expect(placed.map(({ value }) => value)).toEqual(['plain'])
  await end('commit')
  await log.append(inTransaction('aborted', 1)).durable
  await end('abort')
  await log.append(batchOf(['last'])).durable
  await eventually(() => placed.length === 3)
  expect(placed.map(({ offset, value }) => `${offset} ${value}`)).toEqual(['0 plain', '1 committed', '5 last'])
  await eventually(() => reader.positions().get(0) === 6)
  expect(await readAll(ottla, { from: { last: 2 } })).toEqual(placed.slice(-1))
})

test('[TXN-51] a gap is told with the next record that is given, also when what comes first behind it was aborted', async () => {
  const { ottla, log } = await setUp(51)
  await log.append(batchOf(['gone'])).durable
  await log.append(batchOf(['aborted'], { producer: { id: 7, sequence: 0, isTransactional: true } })).durable
  await log.appendMarker({ producerId: 7, producerEpoch: 0, coordinatorEpoch: 0, outcome: 'abort' }).durable
  await log.append(batchOf(['kept', 'last'])).durable
  await ottla.admin.deleteRecords([{ topic: 't', partition: 0, beforeOffset: 1 }])
  const gap = { partition: 0, from: 0, to: 1, reason: 'deleted' }
  const given: unknown[] = []
  const reader = ottla.topic('t', { value: string }).read({ from: { offset: 0 }, follow: false })
  for await (const { offset, gap } of reader) given.push({ offset, gap })
  expect(given).toEqual([{ offset: 3, gap }, { offset: 4 }])
  const options = { from: { offset: 0 }, webSocket: WebSocket, value: string }
  for await (const record of tail<string, string>(relay.websocket.url, 't', options)) {
    expect(record).toMatchObject({ offset: 3, gap })
    break
  }
})

test('[TXN-52] a replica holds what is decided, and reads the same online, offline and after a restart', async () => {
  const { log, random, account } = await setUp(52)
  const replica = `committed-${replicas++}`
  let ottla = await open({ replica })
  const followed = following(ottla)
  for (let round = 0; round < 6; round++) await write(account, 60)
  const held = () => ottla.status.topics[0]?.replica[0]
  await eventually(() => held()?.end === log.lastStableOffset && held()?.upToDate)
  expect(log.lastStableOffset).toBeLessThan(log.highWatermark)
  const committed = account.committed()
  const decided = account.all().filter(({ offset }) => offset < log.lastStableOffset)
  await eventually(() => followed.placed.length === committed.length)
  expect(followed.placed).toEqual(committed)
  await ottla.close()
  await relay.close()

  ottla = await open({ replica })
  const offset = everywhere(log, random)
  expect(await readAll(ottla)).toEqual(committed)
  expect(await readAll(ottla, { from: { offset } })).toEqual(committed.filter((each) => each.offset >= offset))
  expect(await readAll(ottla, { isolation: 'uncommitted' })).toEqual(decided)
}, 60_000)

test('[TXN-53] rows of a replica that are joined, merged and cut keep their aborted transactions', async () => {
  const { log, account } = await setUp(53)
  const ottla = await open({ replica: `committed-${replicas++}` })
  following(ottla)
  // Enough small rows for the background merge.
  for (let round = 0; round < 100; round++) {
    await write(account, 8)
    if (round % 10 === 0) await new Promise((resolve) => setTimeout(resolve, 1))
  }
  await account.settle()
  const held = () => ottla.status.topics[0]?.replica[0]
  await eventually(() => held()?.end === log.lastStableOffset && held()?.upToDate, { withinMs: 20_000 })
  expect(await readAll(ottla)).toEqual(account.committed())
  const cutAt = Math.floor(log.endOffset / 2)
  const end = await log.truncateTo(cutAt)
  await eventually(() => held()?.end === log.lastStableOffset && held()?.upToDate, { withinMs: 20_000 })
  expect(log.lastStableOffset).toBeLessThanOrEqual(end)
  const kept = account.committed().filter(({ offset }) => offset < log.lastStableOffset)
  expect(await readAll(ottla)).toEqual(kept)
}, 60_000)

test('[TXN-57] what an older version stored without aborted transactions is fetched again', async () => {
  const { log, account } = await setUp(57)
  const replica = `committed-${replicas++}`
  await log.append(batchOf(['plain'])).durable
  await write(account, 100)
  const held = (ottla: Ottla) => ottla.status.topics[0]?.replica[0]
  const isComplete = (ottla: Ottla) => held(ottla)?.end === log.lastStableOffset && held(ottla)?.upToDate
  const older = await open({ replica })
  following(older)
  await eventually(() => isComplete(older))
  await older.close()
  await asOlderVersion(replica)

  const newer = await open({ replica })
  const { placed } = following(newer)
  await write(account, 20)
  await eventually(() => isComplete(newer))
  expect(await readAll(newer)).toEqual([{ offset: 0, value: 'plain' }, ...account.committed()])
  await eventually(() => placed.at(-1)?.offset === account.committed().at(-1)?.offset)
  await newer.close()
  await relay.close()
  const offline = await open({ replica })
  expect(held(offline)).toMatchObject({ start: 0, end: log.lastStableOffset })
})

/** The database without what older versions did not keep. */
async function asOlderVersion(replica: string): Promise<void> {
  const database = await openDB(databaseName(replica))
  const transaction = database.transaction(['chunks', 'positions'], 'readwrite')
  for (const name of ['chunks', 'positions']) {
    for (let at = await transaction.objectStore(name).openCursor(); at; at = await at.continue()) {
      if (typeof at.value === 'string') continue
      const { aborted: _, knowsAborted: __, ...rest } = at.value
      await at.update!(rest)
    }
  }
  await transaction.done
  database.close()
}

test('[TXN-54] a live tail gives committed records alone, from the beginning, from an offset, and the last of them', async () => {
  const { log, random, account } = await setUp(54)
  const take = async (from: TailPosition, count: number) => {
    const placed: Placed[] = []
    if (count === 0) return placed
    for await (const { offset, value } of tail<string, string>(relay.websocket.url, 't', {
      from,
      webSocket: WebSocket,
      value: string,
    })) {
      placed.push({ offset, value: value! })
      if (placed.length === count) break
    }
    return placed
  }
  for (let round = 0; round < 4; round++) {
    await write(account, 80)
    const committed = account.committed()
    expect(await take('beginning', committed.length)).toEqual(committed)
    const offset = Math.floor(random.next() * log.lastStableOffset)
    const rest = account.committed(offset)
    expect(await take({ offset }, rest.length)).toEqual(rest)
    const last = account.committed(log.lastStableOffset - 20)
    // Given by their timestamps.
    const taken = await take({ last: 20 }, last.length)
    expect(taken.sort((a, b) => a.offset - b.offset)).toEqual(last)
  }
  expect(log.lastStableOffset).toBeLessThan(log.highWatermark)
}, 60_000)
