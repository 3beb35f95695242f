/** Tables in memory, for clients without a replica. Invariant: entries are sorted as IndexedDB would sort them. */
import { StoreError } from '../replica/store-error.ts'
import type { IndexPlace, PlacedRow, StoredRow } from './fold.ts'
import { compareCursors, isWithin, textOf } from './key-order.ts'
import type { TableCursor } from './seam.ts'
import {
  isSamePlace,
  type PageQuery,
  type PageRow,
  type RowChange,
  type StoredTable,
  type TablePosition,
  type TableStore,
} from './store.ts'

class Contents {
  table: StoredTable
  readonly positions = new Map<number, TablePosition>()
  readonly rows = new Map<string, PlacedRow>()
  /** By index; '' is the table itself, whose entries stand at their keys. */
  readonly orders = new Map<string, TableCursor[]>([['', []]])

  constructor(table: StoredTable) {
    this.table = table
  }

  copy(): Contents {
    const copied = new Contents(this.table)
    for (const [partition, position] of this.positions) copied.positions.set(partition, position)
    for (const [key, row] of this.rows) copied.rows.set(key, row)
    for (const [index, entries] of this.orders) copied.orders.set(index, [...entries])
    return copied
  }
}

export class MemoryTableStore implements TableStore {
  readonly isReadByPages = false
  readonly #tables = new Map<string, Contents>()

  /** As it is now; rows are never changed in place, so they are shared. */
  copy(): MemoryTableStore {
    const copied = new MemoryTableStore()
    for (const [topicId, contents] of this.#tables) copied.#tables.set(topicId, contents.copy())
    return copied
  }

  async load(topic: string): Promise<{ table: StoredTable; positions: TablePosition[] } | undefined> {
    const found = [...this.#tables.values()].find(({ table }) => table.topic === topic)
    return found && { table: found.table, positions: [...found.positions.values()] }
  }

  async putTable(table: StoredTable): Promise<void> {
    const known = this.#tables.get(table.topicId)
    if (known) known.table = table
    else this.#tables.set(table.topicId, new Contents(table))
  }

  async dropTable(topicId: string): Promise<void> {
    this.#tables.delete(topicId)
  }

  async change(
    topicId: string,
    keys: readonly Uint8Array[],
    expected: TablePosition | null,
    compute: (rows: ReadonlyArray<StoredRow | undefined>) => RowChange,
  ): Promise<void> {
    const contents = this.#contents(topicId)
    const change = compute(keys.map((key) => contents.rows.get(textOf(key))))
    const { partition } = change.position
    if (!isSamePlace(contents.positions.get(partition), expected)) throw fenced()
    for (const key of [...change.deletes, ...change.puts.map((row) => row.key)]) takeOut(contents, key)
    for (const row of change.puts) {
      contents.rows.set(textOf(row.key), row)
      for (const { index, at } of placesOf(row)) insert(order(contents, index), { at, key: row.key })
    }
    contents.positions.set(partition, change.position)
  }

  async rows(topicId: string, keys: readonly Uint8Array[]): Promise<Array<StoredRow | undefined>> {
    const { rows } = this.#contents(topicId)
    return keys.map((key) => rows.get(textOf(key)))
  }

  async page({ topicId, index, from, to, after, isReverse, countMax }: PageQuery): Promise<PageRow[]> {
    const contents = this.#contents(topicId)
    const entries = order(contents, index ?? '')
    const found: PageRow[] = []
    const edge = after ? place(entries, after) : -1
    const isAt = after !== null && entries[edge] !== undefined && compareCursors(entries[edge], after) === 0
    const first = isReverse
      ? (after ? edge : to ? place(entries, { at: to, key: NOTHING }) : entries.length) - 1
      : after
        ? edge + (isAt ? 1 : 0)
        : place(entries, { at: from ?? NOTHING, key: NOTHING })
    for (let at = first; at >= 0 && at < entries.length && found.length < countMax; at += isReverse ? -1 : 1) {
      const entry = entries[at]!
      if (!isWithin(entry.at, { from, to })) break
      const row = contents.rows.get(textOf(entry.key))
      if (row) found.push({ at: entry.at, row })
    }
    return found
  }

  async count({ topicId, index, from, to }: Pick<PageQuery, 'topicId' | 'index' | 'from' | 'to'>): Promise<number> {
    const entries = order(this.#contents(topicId), index ?? '')
    const end = to ? place(entries, { at: to, key: NOTHING }) : entries.length
    return Math.max(0, end - place(entries, { at: from ?? NOTHING, key: NOTHING }))
  }

  async close(): Promise<void> {}

  #contents(topicId: string): Contents {
    const contents = this.#tables.get(topicId)
    if (!contents) throw fenced()
    return contents
  }
}

const NOTHING = new Uint8Array(0)

export const fenced = (): StoreError => new StoreError('fenced', 'somebody else has moved the table on')

function order(contents: Contents, index: string): TableCursor[] {
  const known = contents.orders.get(index)
  if (known) return known
  const fresh: TableCursor[] = []
  contents.orders.set(index, fresh)
  return fresh
}

function takeOut(contents: Contents, key: Uint8Array): void {
  const row = contents.rows.get(textOf(key))
  if (!row) return
  contents.rows.delete(textOf(key))
  for (const { index, at } of placesOf(row)) remove(order(contents, index), { at, key })
}

/** In all orders. */
const placesOf = ({ key, places }: PlacedRow): IndexPlace[] => [{ index: '', at: key }, ...places]

/** Of the first entry that is not below. */
function place(entries: readonly TableCursor[], wanted: TableCursor): number {
  let [low, high] = [0, entries.length]
  while (low < high) {
    const middle = (low + high) >>> 1
    if (compareCursors(entries[middle]!, wanted) < 0) low = middle + 1
    else high = middle
  }
  return low
}

function insert(entries: TableCursor[], entry: TableCursor): void {
  const at = place(entries, entry)
  const isThere = entries[at] !== undefined && compareCursors(entries[at], entry) === 0
  if (!isThere) entries.splice(at, 0, entry)
}

function remove(entries: TableCursor[], entry: TableCursor): void {
  const at = place(entries, entry)
  if (entries[at] && compareCursors(entries[at], entry) === 0) entries.splice(at, 1)
}
