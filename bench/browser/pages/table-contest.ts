/** What whoever holds rows is asked, and the rows. */

export const RANGE_ROWS = 100
const PIECE_ROWS = 1_000

export interface Row {
  id: string
  place: number
  text: string
}

export interface TableContestant {
  get(id: string): Promise<unknown>
  /** By an index of `place`, from the first to the second without it. */
  range(from: number, to: number): Promise<unknown[]>
  count(from: number, to: number): Promise<number>
  /** Resolves once a query that lives has the row as it was put. */
  putAndHear(row: Row): Promise<void>
  close(): Promise<unknown>
}

export const idOf = (index: number) => `row-${String(index).padStart(7, '0')}`

export function* rowsOf(count: number): Generator<Row[]> {
  for (let at = 0; at < count; at += PIECE_ROWS) {
    yield Array.from({ length: Math.min(PIECE_ROWS, count - at) }, (_, index) => ({
      ...{ id: idOf(at + index), place: at + index, text: 'x'.repeat(80) },
    }))
  }
}
