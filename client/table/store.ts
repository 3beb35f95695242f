/**
 * What tables need from a database.
 *
 * Invariants: `change` happens whole or not at all, rows, their places in indexes and position together; it happens only if the
 * partition still stands where the caller believes (two workers may think that they lead), else it rejects `fenced` and
 * nothing has changed. Nothing here returns more than a page.
 */
import type { PlacedRow, StoredRow } from './fold.ts'
import type { KeyInterval } from './key-order.ts'
import type { TableCursor } from './seam.ts'

export interface StoredTable {
  topicId: string
  topic: string
  /** Paths of indexes by name; those that are complete. */
  indexes: Readonly<Record<string, string>>
}

/** How far a table has taken in one partition. */
export interface TablePosition {
  topicId: string
  partition: number
  nextOffset: number
  /** Of the replica's range that it was read from. */
  generation: number
  /** Grows when the partition is read anew; rows of an older build that are not found again go at the end. */
  build: number
  /** False until the end was reached in this build. */
  isComplete: boolean
  /** Rows from below are gone. */
  logStart: number
  /** When the table and the log were last the same, by the clock of the relay; 0: never. */
  upToDateAtMs: number
  /** As of the replica's range: which keys were to be had. */
  filter?: string | undefined
}

export interface RowChange {
  position: TablePosition
  puts: PlacedRow[]
  deletes: Uint8Array[]
}

export interface PageQuery extends KeyInterval {
  topicId: string
  index: string | null
  after: TableCursor | null
  isReverse: boolean
  countMax: number
}

export interface PageRow {
  at: Uint8Array
  row: StoredRow
}

export interface TableStore {
  /** It is a database that pages of this origin can open too. */
  readonly isReadByPages: boolean
  /** The table of a topic's name, with its positions. */
  load(topic: string): Promise<{ table: StoredTable; positions: TablePosition[] } | undefined>
  putTable(table: StoredTable): Promise<void>
  /** Rows and positions too. */
  dropTable(topicId: string): Promise<void>
  /**
   * Reads the rows of `keys` and writes what `compute` makes of them, in one step. `expected`: the position that the store
   * must have, null for none.
   */
  change(
    topicId: string,
    keys: readonly Uint8Array[],
    expected: TablePosition | null,
    compute: (rows: ReadonlyArray<StoredRow | undefined>) => RowChange,
  ): Promise<void>
  rows(topicId: string, keys: readonly Uint8Array[]): Promise<Array<StoredRow | undefined>>
  page(query: PageQuery): Promise<PageRow[]>
  count(query: Pick<PageQuery, 'topicId' | 'index' | 'from' | 'to'>): Promise<number>
  close(): Promise<void>
}

/** Two positions of one life of the partition that stand at the same place. */
export function isSamePlace(a: TablePosition | null | undefined, b: TablePosition | null | undefined): boolean {
  if (!a || !b) return !a && !b
  return a.nextOffset === b.nextOffset && a.generation === b.generation && a.build === b.build
}
