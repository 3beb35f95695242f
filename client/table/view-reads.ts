/** What a reader of a table sees: rows of the store with pending writes over them, a page at a time. */
import type { Indexes, StoredRow } from './fold.ts'
import { indexKeysIn } from './index-key.ts'
import { compareCursors, isWithin, textOf } from './key-order.ts'
import type { PendingRecord, PendingWrites } from './pending.ts'
import type { TableCursor, TablePage, TableRead, TableRow, TableSelection } from './seam.ts'
import type { TableStore } from './store.ts'

interface Sources {
  topicId: string
  store: TableStore
  pending: PendingWrites
  indexes: Indexes
}

interface PlacedRow extends TableCursor {
  row: TableRow
}

export async function readPage(
  { topicId, store, pending, indexes }: Sources,
  read: TableRead,
): Promise<Omit<TablePage, 'bareTopicId'>> {
  const { isReverse, countMax } = read
  const stored = await store.page({ topicId, ...read })
  const isLast = stored.length < countMax
  const last = stored.at(-1)
  const end: TableCursor | null = isLast || !last ? null : { at: last.at, key: last.row.key }
  const order = (a: TableCursor, b: TableCursor) => (isReverse ? -1 : 1) * compareCursors(a, b)
  const covering = [...pending.all()].flatMap((record) =>
    placesOf(record, read, indexes)
      .map((at) => ({ at, key: record.key, record }))
      .filter((place) => !read.after || order(place, read.after) > 0)
      .filter((place) => !end || order(place, end) <= 0),
  )
  const below = await store.rows(
    topicId,
    covering.map(({ key }) => key),
  )
  const placed: PlacedRow[] = [
    ...stored
      .filter(({ row }) => !pending.newest(row.key))
      .map(({ at, row }) => ({ at, key: row.key, row: shown(row) })),
    ...covering.map(({ at, key, record }, index) => ({ at, key, row: shownPending(record, below[index]) })),
  ].sort(order)
  const page = placed.slice(0, countMax)
  const cut = placed.length > countMax ? page.at(-1)! : undefined
  return { rows: page.map(({ row }) => row), next: cut ? { at: cut.at, key: cut.key } : end }
}

export async function countRows({ topicId, store, pending, indexes }: Sources, selection: TableSelection) {
  const covering = [...pending.all()]
  const below = await store.rows(
    topicId,
    covering.map(({ key }) => key),
  )
  let count = await store.count({ topicId, ...selection })
  covering.forEach((record, index) => {
    count += placesOf(record, selection, indexes).length - placesOf(below[index], selection, indexes).length
  })
  return count
}

/** Where in the order a row lies, as often as it is there. */
function placesOf(
  row: Pick<PendingRecord, 'key' | 'value'> | undefined,
  { index, from, to }: TableSelection,
  indexes: Indexes,
): Uint8Array[] {
  if (!row || row.value === null) return []
  const places = index === null ? [row.key] : indexKeysIn(row.value, indexes[index] ?? '')
  return places.filter((at) => isWithin(at, { from, to }))
}

export function shown({ key, value, partition, offset, timestamp }: StoredRow): TableRow {
  return { key, value, partition, offset, timestamp }
}

export function shownPending({ id, key, value, timestamp }: PendingRecord, below: StoredRow | undefined): TableRow {
  const { partition, offset, value: valueBelow } = below ?? { partition: -1, offset: -1, value: null }
  return { key, value, partition, offset, timestamp, pendingId: id, below: valueBelow }
}

/** What a reader sees of a key. */
export function shownOf(record: PendingRecord | undefined, row: StoredRow | undefined): TableRow | null {
  if (record) return shownPending(record, row)
  return row ? shown(row) : null
}

export function isSameRow(a: TableRow | null, b: TableRow | null): boolean {
  if (!a || !b) return a === b
  const isSameWrite = a.pendingId === b.pendingId && a.partition === b.partition && a.offset === b.offset
  return isSameWrite && (a.value === b.value || textOf(a.value ?? NONE) === textOf(b.value ?? NONE))
}

const NONE = new Uint8Array(0)
