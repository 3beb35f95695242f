/** Rows on the device: one by its key, a range of an index, and how soon a query that lives hears of a write. */
import { seededRandom } from '../../../protocol/lib/random.ts'
import type { PageMetrics, TableTask } from './contract.ts'
import { LONE_WRITE_GAP_MS, pause } from './pause.ts'
import { percentile } from './percentile.ts'
import { servePage } from './serve-page.ts'
import { type Indexed, idOf, markOf, RANGE_ROWS, type TableContestant } from './table-contest.ts'
import { timesOf } from './timing.ts'

/** Each in a file of its own, as one of them may not be installed. */
const SCRIPTS = { ottla: '/ottla-table.js', dexie: '/dexie-table.js', rxdb: '/rxdb-table.js' }

interface ContestantModule {
  open(task: TableTask): Promise<TableContestant>
}

async function measure(task: TableTask): Promise<PageMetrics> {
  const { open } = (await import(/* @vite-ignore */ SCRIPTS[task.who])) as ContestantModule
  const startedMs = performance.now()
  const contestant = await open(task)
  const filledMs = performance.now() - startedMs
  const random = seededRandom(7)
  const below = (bound: number) => Math.floor(random.next() * bound)
  const gets = await timesOf(task.times, async () => {
    if (!(await contestant.get(idOf(below(task.rows))))) throw new Error('a row is missing')
  })
  const rangesBy = (by: Indexed) =>
    timesOf(task.times, async () => {
      const from = below(task.rows - RANGE_ROWS)
      const found = await contestant.range(by, from, from + RANGE_ROWS)
      if (found.length !== RANGE_ROWS) throw new Error(`a range of ${found.length} rows`)
    })
  const ranges = await rangesBy('place')
  const scattered = await rangesBy('mark')
  const counts = await timesOf(task.times, async () => {
    const from = below(task.rows - RANGE_ROWS)
    const count = await contestant.count('place', from, from + RANGE_ROWS)
    if (count !== RANGE_ROWS) throw new Error(`a count of ${count} rows`)
  })
  const lives: number[] = []
  for (let index = 0; index < task.times; index++) {
    const place = below(task.rows)
    const row = { id: idOf(place), place, mark: markOf(place, task.rows), text: `live ${index}` }
    lives.push(...(await timesOf(1, () => contestant.putAndHear(row))))
    // As a person acts, or an application now and then: what follows the last is over.
    await pause(LONE_WRITE_GAP_MS)
  }
  await contestant.close()
  return {
    filledMs,
    getP50Ms: percentile(gets, 0.5),
    getP99Ms: percentile(gets, 0.99),
    rangeP50Ms: percentile(ranges, 0.5),
    scatteredP50Ms: percentile(scattered, 0.5),
    countP50Ms: percentile(counts, 0.5),
    liveP50Ms: percentile(lives, 0.5),
    liveP99Ms: percentile(lives, 0.99),
  }
}

void servePage(measure)
