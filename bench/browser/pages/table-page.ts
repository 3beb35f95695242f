/** Rows on the device: one by its key, a range of an index, and how soon a query that lives hears of a write. */
import { Dexie, type Table as DexieTable, liveQuery } from 'dexie'
import { seededRandom } from '../../../protocol/lib/random.ts'
import { connect, json, string } from '../../../worker/index.ts'
import type { PageMetrics, TableTask } from './contract.ts'
import { live } from './live.ts'
import { pause } from './pause.ts'
import { percentile } from './percentile.ts'
import { servePage } from './serve-page.ts'

const TOPIC = 'rows'
const PIECE_ROWS = 1_000
const RANGE_ROWS = 100

interface Row {
  id: string
  place: number
  text: string
}

const idOf = (index: number) => `row-${String(index).padStart(7, '0')}`

function* rowsOf(count: number): Generator<Row[]> {
  for (let at = 0; at < count; at += PIECE_ROWS) {
    yield Array.from({ length: Math.min(PIECE_ROWS, count - at) }, (_, index) => ({
      ...{ id: idOf(at + index), place: at + index, text: 'x'.repeat(80) },
    }))
  }
}

interface Contestant {
  get(id: string): Promise<unknown>
  range(from: number, to: number): Promise<unknown[]>
  /** Resolves once the query that lives has the row as it was put. */
  putAndHear(row: Row): Promise<void>
  close(): Promise<unknown>
}

async function ottlaTable({ url, rows }: TableTask): Promise<Contestant> {
  const ottla = await connect(url, { replica: 'bench', worker: 'shared', workerUrl: '/ottla-worker.js' })
  await live(ottla)
  const configs = { 'cleanup.policy': 'compact' }
  await ottla.admin.createTopics([{ name: TOPIC, configs }], { ifNotExists: true })
  const topic = ottla.topic<string, Row>(TOPIC, { key: string, value: json<Row>() })
  for (const piece of rowsOf(rows)) {
    await topic.sendAll(piece.map((value) => ({ key: value.id, value }))).at(-1)!.committed
  }
  const table = await ottla.table<string, Row>(TOPIC, { indexes: { byPlace: 'place' } })
  while ((await table.count()) < rows || !table.state.isUpToDate) await pause(50)
  let heard = (_row: Row) => {}
  table.subscribe({ prefix: 'row-' }, ({ changes }) => {
    for (const { after } of changes) if (after) heard(after.value)
  })
  return {
    get: (id) => table.get(id),
    range: (from, to) => table.range({ index: 'byPlace', from, to }),
    putAndHear: (row) =>
      new Promise((resolve) => {
        heard = ({ text }) => text === row.text && resolve()
        table.put(row.id, row)
      }),
    close: () => ottla.close(),
  }
}

async function dexieTable({ rows }: TableTask): Promise<Contestant> {
  const database = new Dexie('bench') as Dexie & { rows: DexieTable<Row, string> }
  database.version(1).stores({ rows: 'id, place' })
  for (const piece of rowsOf(rows)) await database.rows.bulkPut(piece)
  return {
    get: (id) => database.rows.get(id),
    range: (from, to) => database.rows.where('place').between(from, to).toArray(),
    putAndHear: (row) =>
      new Promise((resolve, reject) => {
        // Of one row: Dexie runs the query anew for each change in its range.
        const living = liveQuery(() => database.rows.get(row.id)).subscribe({
          next: (seen) => {
            if (seen?.text !== row.text) return
            living.unsubscribe()
            resolve()
          },
          error: reject,
        })
        void database.rows.put(row).catch(reject)
      }),
    close: async () => database.close(),
  }
}

async function timesOf(times: number, act: (index: number) => Promise<unknown>): Promise<number[]> {
  const taken: number[] = []
  for (let index = 0; index < times; index++) {
    const startedMs = performance.now()
    await act(index)
    taken.push(performance.now() - startedMs)
  }
  return taken
}

async function measure(task: TableTask): Promise<PageMetrics> {
  const startedMs = performance.now()
  const contestant = await (task.isPeer ? dexieTable(task) : ottlaTable(task))
  const filledMs = performance.now() - startedMs
  const random = seededRandom(7)
  const below = (bound: number) => Math.floor(random.next() * bound)
  const gets = await timesOf(task.times, async () => {
    if (!(await contestant.get(idOf(below(task.rows))))) throw new Error('a row is missing')
  })
  const ranges = await timesOf(task.times, async () => {
    const from = below(task.rows - RANGE_ROWS)
    const found = await contestant.range(from, from + RANGE_ROWS)
    if (found.length !== RANGE_ROWS) throw new Error(`a range of ${found.length} rows`)
  })
  const lives = await timesOf(task.times, (index) => {
    const place = below(task.rows)
    return contestant.putAndHear({ id: idOf(place), place, text: `live ${index}` })
  })
  await contestant.close()
  return {
    filledMs,
    getP50Ms: percentile(gets, 0.5),
    rangeP50Ms: percentile(ranges, 0.5),
    liveP50Ms: percentile(lives, 0.5),
  }
}

void servePage(measure)
