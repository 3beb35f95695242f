/**
 * The rows of one table as they are stored, how far it has come in each partition, and the indexes in force.
 *
 * Invariants: everything that reads rows and tells of them, or changes them, does so in a turn, so a reader never sees half
 * of a step; the position lies with the rows, and a change that finds another position than it believes in changes nothing.
 */
import type { Indexes, StoredRow } from './fold.ts'
import type { TableCursor } from './seam.ts'
import type { RowChange, StoredTable, TablePosition, TableStore } from './store.ts'
import { Turns } from './turns.ts'

const PAGE_ROWS_MAX = 500
/** About what a page may hold: rows may be as large as a record. */
const PAGE_BYTES = 1024 * 1024
const FIRST_PAGE_ROWS = 16

/** Rows that were read before it was anybody's turn. */
export interface RowsAhead {
  at: number
  rows: Promise<Array<StoredRow | undefined>>
}

export class StoredRows {
  readonly store: TableStore
  readonly turns = new Turns()
  /** Rows are kept in them from now on, complete or not. */
  indexes: Indexes
  readonly #topic: string
  readonly #positions = new Map<number, TablePosition>()
  #table: StoredTable | undefined
  /** Grows when rows begin to change, and when they have. */
  #changing = 0
  #isClosed = false

  constructor(store: TableStore, topic: string, indexes: Indexes) {
    this.store = store
    this.indexes = indexes
    this.#topic = topic
  }

  get table(): StoredTable {
    return this.#table!
  }

  get topicId(): string {
    return this.#table!.topicId
  }

  get isClosed(): boolean {
    return this.#isClosed
  }

  position(partition: number): TablePosition | undefined {
    return this.#positions.get(partition)
  }

  positions(): TablePosition[] {
    return [...this.#positions.values()]
  }

  /** In a turn. */
  load(topicId: string): Promise<void> {
    return this.#changes(() => this.#load(topicId))
  }

  async #load(topicId: string): Promise<void> {
    const stored = await this.store.load(this.#topic)
    this.#positions.clear()
    if (stored?.table.topicId === topicId) {
      this.#table = stored.table
      for (const position of stored.positions) this.#positions.set(position.partition, position)
      return
    }
    // Made anew under the same name: nothing of the old topic is shown as the new one's.
    if (stored) await this.store.dropTable(stored.table.topicId)
    await this.putTable({ topicId, topic: this.#topic, indexes: {} })
  }

  async putTable(table: StoredTable): Promise<void> {
    this.#table = table
    await this.store.putTable(table)
  }

  of(keys: readonly Uint8Array[]): Promise<Array<StoredRow | undefined>> {
    return this.store.rows(this.topicId, keys)
  }

  /** Out of turn, for who will have a turn soon: see `asTheyAre`. Nothing until the table is loaded. */
  ahead(keys: readonly Uint8Array[]): RowsAhead | undefined {
    if (!this.#table) return undefined
    const rows = this.of(keys)
    // Whoever takes them up is told.
    rows.catch(() => {})
    return { at: this.#changing, rows }
  }

  /** In a turn: what was read ahead counts if nothing has changed since; else the rows are read. */
  asTheyAre(keys: readonly Uint8Array[], ahead?: RowsAhead): Promise<Array<StoredRow | undefined>> {
    return ahead?.at === this.#changing ? ahead.rows : this.of(keys)
  }

  /** Page by page, each as it is when it is asked for. Ends early when the table is closed. */
  async *all(): AsyncGenerator<StoredRow[]> {
    const all = { topicId: this.topicId, index: null, from: null, to: null, isReverse: false }
    let countMax = FIRST_PAGE_ROWS
    for (let after: TableCursor | null = null; ; ) {
      const page: StoredRow[] = (await this.store.page({ ...all, after, countMax })).map(({ row }) => row)
      yield page
      if (page.length < countMax || this.#isClosed) return
      const { key }: StoredRow = page.at(-1)!
      after = { at: key, key }
      countMax = rowsLikeThese(page)
    }
  }

  /** In a turn. `expected`: the position that is believed in. */
  async change(
    keys: readonly Uint8Array[],
    expected: TablePosition | undefined,
    compute: (rows: ReadonlyArray<StoredRow | undefined>) => RowChange,
  ): Promise<void> {
    let position: TablePosition | undefined
    await this.#changes(() =>
      this.store.change(this.topicId, keys, expected ?? null, (rows) => {
        const change = compute(rows)
        position = change.position
        return change
      }),
    )
    if (position) this.#positions.set(position.partition, position)
  }

  async #changes(work: () => Promise<void>): Promise<void> {
    this.#changing++
    await work().finally(() => this.#changing++)
  }

  /** What goes through all rows ends; what has begun a turn ends it. */
  close(): void {
    this.#isClosed = true
  }
}

/** How many of the same size make a page; no more than twice as many, as the next ones may be larger. */
function rowsLikeThese(page: readonly StoredRow[]): number {
  const sizeBytes = page.reduce((sum, { value }) => sum + value.length, 0)
  const fitting = Math.floor((PAGE_BYTES * page.length) / Math.max(1, sizeBytes))
  return Math.max(1, Math.min(PAGE_ROWS_MAX, page.length * 2, fitting))
}
