/**
 * Readings as they are drawn: a ring of columns, each a piece of time, with sum and count by site. As large after an hour as
 * after a second.
 */
import { type Reading, SITES, WINDOW_MS } from './readings.ts'

export const COLUMN_MS = 250
const COLUMNS = WINDOW_MS / COLUMN_MS

export interface SiteFacts {
  count: number
  sum: number
  least: number
  most: number
}

/** Crosses to the page, which draws it. */
export interface Snapshot {
  /** Middles of the columns, in seconds as uPlot has them. */
  times: Float64Array
  /** Averages, by site; NaN where nobody measured. */
  series: Float64Array[]
  sites: SiteFacts[]
  total: number
  state: string
  error: string
}

export class Aggregate {
  readonly #sums = SITES.map(() => new Float64Array(COLUMNS))
  readonly #counts = SITES.map(() => new Uint32Array(COLUMNS))
  readonly #sites: SiteFacts[] = SITES.map(() => ({ count: 0, sum: 0, least: Infinity, most: -Infinity }))
  /** The newest column that anything was counted in. */
  #newest = 0
  #total = 0

  add({ site, kilowatts }: Reading, timestampMs: number): void {
    const at = SITES.indexOf(site)
    this.#total++
    const facts = this.#sites[at]
    // Others may write into the topic as well: counted, and not drawn.
    if (!facts || !Number.isFinite(kilowatts)) return
    facts.count++
    facts.sum += kilowatts
    facts.least = Math.min(facts.least, kilowatts)
    facts.most = Math.max(facts.most, kilowatts)
    const column = Math.floor(timestampMs / COLUMN_MS)
    if (column <= this.#newest - COLUMNS) return
    this.#turnTo(column)
    this.#sums[at]![column % COLUMNS]! += kilowatts
    this.#counts[at]![column % COLUMNS]!++
  }

  snapshot(nowMs: number): Omit<Snapshot, 'state' | 'error'> {
    this.#turnTo(Math.floor(nowMs / COLUMN_MS))
    // The newest column is still filling: its average would tremble.
    const columns = Array.from({ length: COLUMNS - 1 }, (_, index) => this.#newest - COLUMNS + 1 + index)
    return {
      times: Float64Array.from(columns, (column) => ((column + 0.5) * COLUMN_MS) / 1000),
      series: SITES.map((_, at) =>
        Float64Array.from(
          columns,
          (column) => this.#sums[at]![column % COLUMNS]! / this.#counts[at]![column % COLUMNS]!,
        ),
      ),
      sites: this.#sites.map((facts) => ({ ...facts })),
      total: this.#total,
    }
  }

  /** Empties what is reused. */
  #turnTo(column: number): void {
    for (let next = Math.max(this.#newest + 1, column - COLUMNS + 1); next <= column; next++) {
      for (const each of [...this.#sums, ...this.#counts]) each[next % COLUMNS] = 0
    }
    this.#newest = Math.max(this.#newest, column)
  }
}
