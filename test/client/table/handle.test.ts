/** A page's handle of a table, over a core that is moved by hand: what reaches it early, late, or not at all. */
import { expect, onTestFinished, test } from 'vitest'
import { deviceError } from '../../../client/device-errors.ts'
import { tableStore } from '../../../client/hooks/stores.ts'
import { Ottla } from '../../../client/ottla.ts'
import { Settlements } from '../../../client/producer/settlements.ts'
import { string } from '../../../client/serde.ts'
import type { TableNews, TableRow, TableState } from '../../../client/table/seam.ts'
import { Table, type TableEvent, type TableOptions } from '../../../client/table/table.ts'
import { standardCodecs } from '../../../protocol/codecs/standard.ts'
import { HandClock } from '../../../protocol/lib/clock.ts'
import { Emitter } from '../../../protocol/lib/events.ts'
import { seededRandom } from '../../../protocol/lib/random.ts'
import { BATCH_HEADER_BYTES, readBatchHeader, viewOf } from '../../../protocol/record-batch.ts'
import { decodeRecords } from '../../../protocol/records.ts'
import { eventually } from '../../support/eventually.ts'
import { CoreDouble } from '../core-double.ts'

const BEHIND: TableState = { isReady: true, isUpToDate: false, error: null }
const UP_TO_DATE: TableState = { isReady: true, isUpToDate: true, error: null }

class TableCore extends CoreDouble {
  readonly news = new Emitter<TableNews>()
  state = UP_TO_DATE
  rows: TableRow[] = []
  /** Happens while the answer to `open` is on its way. */
  meanwhile = () => {}
  override readonly tables = {
    open: async () => {
      const answer = { state: this.state, bareTopicId: null }
      this.meanwhile()
      return answer
    },
    read: async () => ({ rows: this.rows, next: null, bareTopicId: null }),
    count: async () => 0,
    onNews: (listener: (news: TableNews) => void) => this.news.on(listener),
  } as unknown as CoreDouble['tables']

  tell(state: TableState, key?: string): void {
    const changes = key === undefined ? [] : [{ key: string.encode(key), before: null, after: rowOf(key) }]
    this.news.emit({ topic: 't', changes, isReset: false, state, bareTopicId: null })
  }

  /** As after a change of the worker. */
  tellReset(): void {
    this.news.emit({ topic: 't', changes: [], isReset: true, state: UP_TO_DATE, bareTopicId: null })
  }

  /** What was sent to be stored, as text. */
  written(): string[] {
    return this.enqueued.map(({ batch }) => {
      const [record] = decodeRecords(readBatchHeader(viewOf(batch)), batch.subarray(BATCH_HEADER_BYTES))
      return string.decode(record!.value!)
    })
  }
}

const rowOf = (key: string): TableRow => ({
  key: string.encode(key),
  value: string.encode('1'),
  partition: 0,
  offset: 0,
  timestamp: 0,
})

/** All here happens in microtasks. */
const allHeard = () => new Promise((resolve) => setImmediate(resolve))

function openOn(core: TableCore, options: TableOptions<string, unknown> = {}) {
  const parts = { core, settlements: new Settlements(core), clock: new HandClock(), random: seededRandom(1) }
  return Table.open<string, unknown>('t', options, parts)
}

test('[TAB-21] who listens to some rows hears of the state, also together with changes of others', async () => {
  const core = new TableCore()
  const table = await openOn(core)
  const events: Array<TableEvent<string, unknown>> = []
  table.subscribe({ prefix: 'a' }, (event) => void events.push(event))
  core.tell(BEHIND)
  core.tell(UP_TO_DATE, 'b')
  core.tell(UP_TO_DATE, 'c')
  expect(events).toEqual([
    { changes: [], isReset: false, state: BEHIND },
    { changes: [], isReset: false, state: UP_TO_DATE },
  ])
})

test('[TAB-21] what is told while the answer to opening is on its way is not forgotten over the answer', async () => {
  const core = new TableCore()
  core.state = { isReady: false, isUpToDate: false, error: null }
  core.meanwhile = () => core.tell(UP_TO_DATE)
  const table = await openOn(core)
  expect(table.state).toEqual(UP_TO_DATE)
  await table.whenReady()
})

const counted = {
  merge: (base: unknown, local: unknown, remote: unknown) => Number(local) + Number(remote) - Number(base ?? 0),
}

test('[TAB-8] a write that landed while the worker changed is what the next one is made from', async () => {
  const core = new TableCore()
  const table = await openOn(core, counted)
  await table.put('a', 1).stored
  await allHeard()
  core.rows = [{ ...rowOf('a'), offset: 5 }]
  core.tellReset()
  await allHeard()
  await table.put('a', 2).stored
  const passed = [{ partition: 0, offset: 6, value: string.encode('11'), writeId: null }]
  const change = { key: string.encode('a'), before: null, after: null, passed }
  core.news.emit({ topic: 't', changes: [change], isReset: false, state: UP_TO_DATE, bareTopicId: null })
  await eventually(() => core.written().length === 3)
  expect(core.written()).toEqual(['1', '2', '12'])
})

test('[TAB-8] a write that landed while the worker changed is not merged into the one behind it', async () => {
  const core = new TableCore()
  const table = await openOn(core, counted)
  const [one, two] = [table.put('a', 1), table.put('a', 2)]
  await two.stored
  core.settled.emit([{ id: one.id, outcome: 'committed', partitions: [0], offsets: [5] }])
  await one.committed
  core.rows = [{ ...rowOf('a'), offset: 5, value: string.encode('2'), pendingId: two.id, below: string.encode('1') }]
  core.tellReset()
  await allHeard()
  expect(core.written()).toEqual(['1', '2'])
})

/** What would end a process that does not look. */
function uncaught(): unknown[] {
  const reasons: unknown[] = []
  const others = process.listeners('unhandledRejection')
  process.removeAllListeners('unhandledRejection')
  process.on('unhandledRejection', (reason) => reasons.push(reason))
  onTestFinished(() => {
    process.removeAllListeners('unhandledRejection')
    for (const listener of others) process.on('unhandledRejection', listener)
  })
  return reasons
}

test('[TAB-22] what a listener throws is reported, and others hear all the same', async () => {
  const reasons = uncaught()
  const core = new TableCore()
  const table = await openOn(core)
  let heard = 0
  table.subscribe({}, () => {
    throw new Error('no element to show it in')
  })
  table.subscribe({}, () => heard++)
  core.tell(BEHIND, 'a')
  core.tell(UP_TO_DATE, 'b')
  await eventually(() => reasons.length === 2)
  expect(heard).toBe(2)
  expect(String(reasons[0])).toContain('no element')
})

test('[TAB-22] [TAB-8] where the values cannot be brought together the later write wins', async () => {
  const reasons = uncaught()
  const core = new TableCore()
  const merge = (_base: unknown, _local: unknown, remote: unknown) => {
    if (remote === 2) throw new Error('cannot merge')
    return remote
  }
  const table = await openOn(core, { merge })
  await table.put('a', 1).stored
  await table.put('b', 1).stored
  for (const [offset, [key, value]] of [['a', '{torn'] as const, ['b', '2'] as const, ['b', '3'] as const].entries()) {
    const passed = [{ partition: 0, offset, value: string.encode(value), writeId: null }]
    const change = { key: string.encode(key), before: null, after: null, passed }
    core.news.emit({ topic: 't', changes: [change], isReset: false, state: UP_TO_DATE, bareTopicId: null })
  }
  await eventually(() => core.written().length === 3)
  expect(core.written()).toEqual(['1', '1', '3'])
  await allHeard()
  expect(reasons.map(String)).toEqual(['Error: cannot merge'])
})

test('[WRK-28] what a listener of the status throws is reported, and others hear all the same', async () => {
  const reasons = uncaught()
  const core = new CoreDouble()
  const [clock, random, codecs] = [new HandClock(), seededRandom(1), standardCodecs()]
  const openLanes = () => Promise.reject(new Error('no lanes here'))
  const ottla = new Ottla({ core, clock, random, codecs, hasReplica: true, openLanes })
  const phases: string[] = []
  ottla.onStatus(() => {
    throw new Error('no element to show it in')
  })
  ottla.onStatus(({ connection }) => phases.push(connection.phase))
  core.setConnection({ phase: 'connecting', attempt: 1 })
  await eventually(() => reasons.length === 1)
  expect(phases).toEqual(['connecting'])
  await ottla.close()
})

test('[TAB-23] waiting for a table ends when its handle is closed, or by a signal', async () => {
  const core = new TableCore()
  core.state = { ...BEHIND, isReady: false }
  const table = await openOn(core)
  const giveUp = new AbortController()
  const waiting = [table.whenReady(), table.whenReady({ signal: giveUp.signal })]
  giveUp.abort()
  table.close()
  await expect(waiting[1]).rejects.toMatchObject({ code: 'ABORTED' })
  await expect(waiting[0]).rejects.toMatchObject({ code: 'CLOSED' })
  await expect(table.whenReady()).rejects.toMatchObject({ code: 'CLOSED' })
})

test('[HKS-2] what keeps a table from getting on is in the snapshot, and gone when it gets on', async () => {
  const core = new TableCore()
  const ottla = { table: () => openOn(core) } as unknown as Ottla
  const store = tableStore(ottla, 't')
  onTestFinished(store.subscribe(() => {}))
  await eventually(() => store.getSnapshot().isReady)
  core.tell({ ...BEHIND, error: deviceError('QUOTA_EXCEEDED', { message: 'no room' }).toInfo() })
  await eventually(() => store.getSnapshot().error?.code === 'QUOTA_EXCEEDED')
  core.tell(UP_TO_DATE)
  await eventually(() => store.getSnapshot().error === null && store.getSnapshot().isUpToDate)
})
