/** A table over a replica that is moved by hand: what a relay does only when it is hurt. */
import { expect, test } from 'vitest'
import type { ExportedEntry, ReplicaRange } from '../../../client/core.ts'
import { relayError } from '../../../client/relay-errors.ts'
import { StoreError } from '../../../client/replica/store-error.ts'
import { string } from '../../../client/serde.ts'
import { lazyTables } from '../../../client/table/lazy-tables.ts'
import { MemoryTableStore } from '../../../client/table/memory-store.ts'
import type { TableNews } from '../../../client/table/seam.ts'
import type { TableSource } from '../../../client/table/source.ts'
import { TableView } from '../../../client/table/view.ts'
import { standardCodecs } from '../../../protocol/codecs/standard.ts'
import { HandClock } from '../../../protocol/lib/clock.ts'
import { viewOf, writeBaseOffset } from '../../../protocol/record-batch.ts'
import { encodeBatch } from '../../../protocol/records.ts'
import { eventually } from '../../support/eventually.ts'

const DEFINITION = { topic: 't', indexes: {}, policy: {}, tombstonesKeptMs: 1_000 }

type Entry = [key: string, value: string | null]

class Log {
  entries: Entry[] = []
  /** Offsets behind them that hold nothing of the table's: markers, keys that were not asked for. */
  emptyOffsets = 0
  start = 0
  logStart = 0
  generation = 0
  beganAgain = 0
  isLive = true
  takenIn = 0
  readonly clock = new HandClock()
  relayAheadMs = 0
  /** Reads of chunks that fail. */
  failures = 0
  /** What reads of chunks wait for. */
  reading: Promise<void> = Promise.resolve()
  /** What the outbox answers when it is asked what waits in it. */
  waiting: () => Promise<ExportedEntry[]> = async () => []

  get range(): ReplicaRange {
    const end = this.entries.length + this.emptyOffsets
    const { start, generation } = this
    return { topic: 't', topicId: 'id', partition: 0, start, end, relayEnd: end, upToDate: this.isLive, generation }
  }

  source(): TableSource {
    return {
      clock: this.clock,
      follow: async () => [this.range],
      ranges: () => [this.range],
      logStart: () => this.logStart,
      readReplica: async (_topicId, _partition, offset) => {
        await this.reading
        if (this.failures-- > 0) throw new Error('the disk is on fire')
        const records = this.entries.slice(offset)
        if (records.length === 0) {
          return [{ baseOffset: offset, nextOffset: this.range.end, batches: new Uint8Array(0) }]
        }
        const batches = encodeBatch(
          records.map(([key, value]) => ({
            key: string.encode(key),
            value: value === null ? null : string.encode(value),
            timestamp: 1,
          })),
        )
        writeBaseOffset(viewOf(batches), 0, offset)
        return [{ baseOffset: offset, nextOffset: this.entries.length, batches }]
      },
      takenIn: (_topicId, _partition, offset) => {
        this.takenIn = offset
      },
      beginAgain: () => {
        this.beganAgain++
      },
      isLive: () => this.isLive,
      relayNow: () => this.clock.now() + this.relayAheadMs,
      waiting: () => this.waiting(),
    }
  }
}

async function openOn(log: Log, store = new MemoryTableStore()) {
  const news: TableNews[] = []
  const parts = {
    source: log.source(),
    store,
    codecs: standardCodecs(),
    tell: (each: TableNews) => void news.push(each),
  }
  const view = new TableView(parts, DEFINITION)
  await view.open()
  const rows = async () => {
    const all = { index: null, from: null, to: null, after: null, isReverse: false, countMax: 100 }
    const page = await view.read(DEFINITION, all)
    return page.rows.map(({ key, value }) => `${string.decode(key)}=${value && string.decode(value)}`).join(' ')
  }
  await eventually(() => view.state().isUpToDate)
  return { view, rows, news, store }
}

test('[TAB-21] who has heard that the table is behind hears when it is not, though nothing is left to tell of', async () => {
  const log = new Log()
  log.entries = [['a', '1']]
  const { view, news } = await openOn(log)
  log.entries.push(['a', '2'])
  log.emptyOffsets = 1
  view.wake()
  await eventually(() => view.state().isUpToDate && news.some(({ changes }) => changes.length > 0))
  expect(news.at(-1)!.state.isUpToDate).toBe(true)
})

test('[TAB-21] who opens a table while it is behind hears when it is not, though all others never knew that it was', async () => {
  const log = new Log()
  log.entries = [['a', '1']]
  const tables = lazyTables(log.source(), new MemoryTableStore())
  await tables.open(DEFINITION)
  await eventually(async () => (await tables.open(DEFINITION)).state.isUpToDate)
  let goOn = () => {}
  log.reading = new Promise((resolve) => {
    goOn = resolve
  })
  log.emptyOffsets = 1
  const { state } = await tables.open(DEFINITION)
  expect(state.isUpToDate).toBe(false)
  const news: TableNews[] = []
  tables.onNews((each) => void news.push(each))
  goOn()
  await eventually(() => news.at(-1)?.state.isUpToDate, { withinMs: 1_000 })
  await tables.close()
})

test('[TAB-16] a log that was truncated: what is no longer in it goes, what was before comes back', async () => {
  const log = new Log()
  log.entries = [
    ['a', '1'],
    ['b', '1'],
    ['a', '2'],
    ['c', '2'],
    ['b', null],
  ]
  const { view, rows } = await openOn(log)
  expect(await rows()).toBe('a=2 c=2')
  log.entries = [
    ['a', '1'],
    ['b', '1'],
    ['d', '3'],
  ]
  log.generation++
  view.wake()
  expect(view.state().isUpToDate).toBe(false)
  await eventually(() => view.state().isUpToDate)
  expect(await rows()).toBe('a=1 b=1 d=3')
})

test('[TAB-16] chunks that went before they were taken in are asked for again, once', async () => {
  const log = new Log()
  log.entries = [
    ['a', '1'],
    ['b', '1'],
  ]
  const { view, rows, news } = await openOn(log)
  log.entries.push(['c', '1'], ['d', '1'], ['a', null])
  log.start = 4
  view.wake()
  await eventually(() => log.beganAgain === 1)
  view.wake()
  view.wake()
  expect(await rows()).toBe('a=1 b=1')
  log.start = 0
  log.generation++
  view.wake()
  await eventually(() => view.state().isUpToDate)
  expect(log.beganAgain).toBe(1)
  expect(await rows()).toBe('b=1 c=1 d=1')
  expect(news.some(({ isReset }) => isReset)).toBe(true)
})

const waitingWrite = (id: string, key: string, value: string): ExportedEntry => ({
  ...{ id, topic: 't', partition: null, state: 'pending', recordCount: 1, sizeBytes: 1, storedAtMs: 0, error: null },
  batch: encodeBatch([{ key: string.encode(key), value: string.encode(value), timestamp: 1 }]),
})

test('[TAB-16] chunks that were asked for again in vain, as the device failed over it, are asked for again after a while', async () => {
  const log = new Log()
  log.entries = [['a', '1']]
  const { view } = await openOn(log)
  log.entries.push(['b', '1'], ['c', '1'])
  log.start = 2
  view.wake()
  await eventually(() => log.beganAgain === 1)
  await eventually(() => {
    log.clock.advance(60_000)
    return log.beganAgain === 2
  })
})

test('[TAB-2] a write that ends while the table reads it from the outbox does not stay pending', async () => {
  const log = new Log()
  log.entries = [['a', '1']]
  const view = new TableView(
    { source: log.source(), store: new MemoryTableStore(), codecs: standardCodecs(), tell: () => {} },
    { topic: 't', indexes: {}, policy: {}, tombstonesKeptMs: 1_000 },
  )
  log.waiting = async () => {
    const entries = [waitingWrite('committed', 'a', '1'), waitingWrite('refused', 'b', '1')]
    await view.settled({ id: 'committed', outcome: 'committed', partitions: [0], offsets: [0] })
    const error = relayError('TOO_LARGE', { message: 'no' }).toInfo()
    await view.settled({ id: 'refused', outcome: 'parked', error })
    return entries
  }
  await view.open()
  await eventually(() => view.state().isUpToDate)
  const all = { index: null, from: null, to: null, after: null, isReverse: false, countMax: 100 }
  const { rows } = await view.read(DEFINITION, all)
  expect(rows.map(({ key, pendingId }) => [string.decode(key), pendingId])).toEqual([['a', undefined]])
})

test('[TAB-2] a transaction that the table finds in the outbox ends where it landed, in whatever order its parts lie there', async () => {
  const log = new Log()
  const ours = { ...waitingWrite('tx', 'a', 'new'), part: { indexes: [2], recordCountOfAll: 3 } }
  const others = [0, 1].map((index) => ({
    ...waitingWrite('tx', 'x', 'y'),
    ...{ topic: 'another', part: { indexes: [index], recordCountOfAll: 3 } },
  }))
  log.waiting = async () => [ours, ...others]
  const { view } = await openOn(log)
  const all = { index: null, from: null, to: null, after: null, isReverse: false, countMax: 100 }
  const pending = async () => (await view.read(DEFINITION, all)).rows.map(({ pendingId }) => pendingId)
  expect(await pending()).toEqual(['tx'])
  log.entries.push(['a', 'new'])
  await view.settled({ id: 'tx', outcome: 'committed', partitions: [1, 2, 0], offsets: [0, 0, 0] })
  view.wake()
  await eventually(async () => (await pending())[0] === undefined)
})

test('[TAB-12] the time away is counted from when the table last was the log, and only with the relay there', async () => {
  const log = new Log()
  log.entries = [['a', '1']]
  const { view, store } = await openOn(log)
  await view.close()
  log.isLive = false
  log.clock.advance(5_000)
  const away = new TableView(
    { source: log.source(), store, codecs: standardCodecs(), tell: () => {} },
    { topic: 't', indexes: {}, policy: {}, tombstonesKeptMs: 1_000 },
  )
  await away.open()
  expect(away.state().isReady).toBe(true)
  expect(log.beganAgain).toBe(0)
  log.isLive = true
  away.wake()
  await eventually(() => log.beganAgain === 1)
})

for (const [what, relayAheadMs] of [
  ['by the clock of the relay, whatever that of the device was set to', 5_000],
  ['as too long when that clock was set back meanwhile', -100_000],
] as const) {
  test(`[TAB-12] the time away is counted ${what}`, async () => {
    const log = new Log()
    log.entries = [['a', '1']]
    const { view } = await openOn(log)
    log.relayAheadMs = relayAheadMs
    view.wake()
    await eventually(() => log.beganAgain === 1)
  })
}

test('[TAB-11] an index of a page’s older handle is there at the next worker, though a newer handle without it was opened there first', async () => {
  const log = new Log()
  log.entries = [['a', '{"city":"Brno"}']]
  const store = new MemoryTableStore()
  const indexed = { ...DEFINITION, indexes: { byCity: 'city' } }
  const tables = lazyTables(log.source(), store)
  await tables.open(indexed)
  await tables.open(DEFINITION)
  const byCity = { index: 'byCity', from: null, to: null, after: null, isReverse: false, countMax: 10 }
  await eventually(async () => (await tables.read(indexed, byCity)).rows.length === 1)
  await tables.close()

  const next = lazyTables(log.source(), store)
  await next.open(DEFINITION)
  expect(await next.count(indexed, byCity)).toBe(1)
  expect((await next.read(indexed, byCity)).rows.length).toBe(1)
  await next.close()
})

test('[TAB-2] what a write lies over is as it is when the write is stored, also where the log has changed it meanwhile', async () => {
  const log = new Log()
  log.entries = [['a', '1']]
  const { view, news } = await openOn(log)
  const written = (key: string) => [
    { offset: 0, timestamp: 1, headers: [], key: string.encode(key), value: string.encode('mine') },
  ]
  const below = () => {
    const row = news.at(-1)!.changes[0]!
    return [row.before, row.after].map((each) => each && string.decode(each.below ?? each.value!))
  }
  const quiet = view.ahead(written('a'))
  await view.stored('one', written('a'), quiet)
  expect(below()).toEqual(['1', '1'])
  const overtaken = view.ahead(written('b'))
  log.entries.push(['b', '2'])
  view.wake()
  await eventually(() => view.state().isUpToDate && log.takenIn === 2)
  await view.stored('two', written('b'), overtaken)
  expect(below()).toEqual(['2', '2'])
})

test('[TAB-11] an index that could not be made is tried again', async () => {
  const log = new Log()
  log.entries = [['a', '{"city":"Brno"}']]
  const store = new MemoryTableStore()
  const tables = lazyTables(log.source(), store)
  await tables.open(DEFINITION)
  await eventually(async () => (await tables.open(DEFINITION)).state.isUpToDate)
  const putTable = store.putTable.bind(store)
  store.putTable = () => Promise.reject(new StoreError('unavailable', 'the disk is on fire'))
  const indexed = { ...DEFINITION, indexes: { byCity: 'city' } }
  const byCity = { index: 'byCity', from: null, to: null }
  const errors: unknown[] = []
  tables.onNews(({ state }) => state.error && errors.push(state.error))
  await tables.open(indexed)
  await expect(tables.count(indexed, byCity)).rejects.toThrow('on fire')
  await eventually(() => errors.length > 0)

  store.putTable = putTable
  await eventually(async () => {
    log.clock.advance(60_000)
    return (await tables.count(indexed, byCity).catch(() => 0)) === 1
  })
  await tables.close()
})

test('[TAB-16] a table that another worker has moved on is read from where it is now', async () => {
  const log = new Log()
  log.entries = [['a', '1']]
  const one = await openOn(log)
  const two = await openOn(log, one.store)
  log.entries.push(['b', '1'])
  two.view.wake()
  await eventually(() => two.view.state().isUpToDate)
  log.entries.push(['c', '1'])
  one.view.wake()
  await eventually(() => {
    log.clock.advance(100)
    return one.view.state().isUpToDate
  })
  expect(await one.rows()).toBe('a=1 b=1 c=1')
})

test('[TAB-16] a failure is told in the state, and what failed is tried again', async () => {
  const log = new Log()
  log.entries = [['a', '1']]
  const { view, rows, news } = await openOn(log)
  log.entries.push(['b', '1'])
  log.failures = 1
  view.wake()
  await eventually(() => news.some(({ state }) => state.error?.message.includes('on fire')))
  await eventually(() => {
    log.clock.advance(1_000)
    return view.state().isUpToDate && view.state().error === null
  })
  expect(await rows()).toBe('a=1 b=1')
})

test('[TAB-16] storage that another client has taken over while a table is opened is told as what it is', async () => {
  const follow = () => Promise.reject(new StoreError('fenced', 'another writer has taken the store over'))
  const tables = lazyTables({ ...new Log().source(), follow }, new MemoryTableStore())
  const opening = tables.open({ topic: 't', indexes: {}, policy: {}, tombstonesKeptMs: 1_000 })
  await expect(opening).rejects.toMatchObject({ name: 'OttlaError', code: 'REPLACED' })
})
