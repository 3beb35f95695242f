/** What whoever holds rows is asked, and the rows. */

export const RANGE_ROWS = 100
const PIECE_ROWS = 1_000

export interface Row {
  id: string
  /** In the order of the keys, as a time of making is. */
  place: number
  /** In no order. */
  mark: number
  text: string
}

export type Indexed = 'place' | 'mark'

export interface TableContestant {
  get(id: string): Promise<unknown>
  /** By an index, from the first to the second without it. */
  range(by: Indexed, from: number, to: number): Promise<unknown[]>
  count(by: Indexed, from: number, to: number): Promise<number>
  /** Resolves once a query that lives has the row as it was put. */
  putAndHear(row: Row): Promise<void>
  close(): Promise<unknown>
}

export const idOf = (index: number) => `row-${String(index).padStart(7, '0')}`

export function* rowsOf(count: number): Generator<Row[]> {
  for (let at = 0; at < count; at += PIECE_ROWS) {
    yield Array.from({ length: Math.min(PIECE_ROWS, count - at) }, (_, index) => ({
      ...{ id: idOf(at + index), place: at + index, mark: markOf(at + index, count), text: 'x'.repeat(80) },
    }))
  }
}

/** Each number below `count` once, as that shares no factor with it. */
export const markOf = (index: number, count: number): number => (index * 7_919) % count
