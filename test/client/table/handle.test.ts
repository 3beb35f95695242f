/** A page's handle of a table, over a core that is moved by hand: what reaches it early, late, or not at all. */
import { expect, test } from 'vitest'
import { Settlements } from '../../../client/producer/settlements.ts'
import { string } from '../../../client/serde.ts'
import type { TableNews, TableRow, TableState } from '../../../client/table/seam.ts'
import { Table, type TableEvent, type TableOptions } from '../../../client/table/table.ts'
import { HandClock } from '../../../protocol/lib/clock.ts'
import { Emitter } from '../../../protocol/lib/events.ts'
import { seededRandom } from '../../../protocol/lib/random.ts'
import { CoreDouble } from '../core-double.ts'

const BEHIND: TableState = { isReady: true, isUpToDate: false, error: null }
const UP_TO_DATE: TableState = { isReady: true, isUpToDate: true, error: null }

class TableCore extends CoreDouble {
  readonly news = new Emitter<TableNews>()
  state = UP_TO_DATE
  /** Happens while the answer to `open` is on its way. */
  meanwhile = () => {}
  override readonly tables = {
    open: async () => {
      const answer = { state: this.state, bareTopicId: null }
      this.meanwhile()
      return answer
    },
    read: async () => ({ rows: [], next: null, bareTopicId: null }),
    count: async () => 0,
    onNews: (listener: (news: TableNews) => void) => this.news.on(listener),
  } as unknown as CoreDouble['tables']

  tell(state: TableState, key?: string): void {
    const changes = key === undefined ? [] : [{ key: string.encode(key), before: null, after: rowOf(key) }]
    this.news.emit({ topic: 't', changes, isReset: false, state, bareTopicId: null })
  }
}

const rowOf = (key: string): TableRow => ({
  key: string.encode(key),
  value: string.encode('1'),
  partition: 0,
  offset: 0,
  timestamp: 0,
})

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
