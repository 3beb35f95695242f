/**
 * Records folded onto rows: which rows and index entries a piece of one partition's log changes. Pure; the store reads the
 * rows and writes the outcome in the same step.
 *
 * The last record of a key wins, by its offset. Keys belong to one partition, as all clients of Kafka place them; where
 * one is found in two (the topic was given more partitions, or somebody placed it by hand) the younger record wins.
 */
import type { RawRecord } from '../../protocol/records.ts'
import { indexKeysIn } from './index-key.ts'
import { textOf } from './key-order.ts'
import type { RowChange, TablePosition } from './store.ts'

export interface StoredRow {
  key: Uint8Array
  value: Uint8Array
  partition: number
  offset: number
  timestamp: number
  /** See TablePosition. */
  build: number
}

export interface IndexedEntry {
  index: string
  at: Uint8Array
  key: Uint8Array
}

export type Indexes = Readonly<Record<string, string>>

/** The last record of each key, in the order of the log. Records without a key are none of a table's. */
export function lastOfEachKey(records: readonly RawRecord[]): RawRecord[] {
  const last = new Map<string, RawRecord>()
  for (const record of records) if (record.key) last.set(textOf(record.key), record)
  return [...last.values()]
}

/** `rows` are those of the records' keys. */
export function foldRecords(
  records: readonly RawRecord[],
  rows: ReadonlyArray<StoredRow | undefined>,
  position: TablePosition,
  indexes: Indexes,
): RowChange {
  const change = emptyChange(position)
  const { partition, build } = position
  records.forEach(({ key, value, offset, timestamp }, index) => {
    const before = rows[index]
    if (before && !isOvertaken(before, { partition, offset, timestamp }, position)) return
    if (value === null) {
      if (before) removeRow(change, before, indexes)
      return
    }
    const row = { key: key!.slice(), value: value.slice(), partition, offset, timestamp, build }
    change.puts.push(row)
    reindex(change, before, row, indexes)
  })
  return change
}

function isOvertaken(
  before: StoredRow,
  record: Pick<StoredRow, 'partition' | 'offset' | 'timestamp'>,
  { build }: TablePosition,
): boolean {
  if (before.partition !== record.partition) return record.timestamp >= before.timestamp
  // What an older build says may stand in a log that is no more.
  return before.build !== build || before.offset < record.offset
}

/** Rows that are no longer the log's. */
export function foldRemoval(gone: readonly StoredRow[], position: TablePosition, indexes: Indexes): RowChange {
  const change = emptyChange(position)
  for (const row of gone) removeRow(change, row, indexes)
  return change
}

/** Entries of `indexes` for rows that are there. */
export function foldIndexing(rows: readonly StoredRow[], position: TablePosition, indexes: Indexes): RowChange {
  const change = emptyChange(position)
  for (const row of rows) reindex(change, undefined, row, indexes)
  return change
}

export const emptyChange = (position: TablePosition): RowChange => ({
  ...{ position, puts: [], deletes: [], indexPuts: [], indexDeletes: [] },
})

function removeRow(change: RowChange, row: StoredRow, indexes: Indexes): void {
  change.deletes.push(row.key)
  reindex(change, row, undefined, indexes)
}

function reindex(
  change: RowChange,
  before: StoredRow | undefined,
  after: StoredRow | undefined,
  indexes: Indexes,
): void {
  const key = (after ?? before)!.key
  for (const [index, path] of Object.entries(indexes)) {
    const next = new Map(indexKeysIn(after?.value ?? null, path).map((at) => [textOf(at), at]))
    for (const at of indexKeysIn(before?.value ?? null, path)) {
      if (!next.delete(textOf(at))) change.indexDeletes.push({ index, at, key })
    }
    for (const at of next.values()) change.indexPuts.push({ index, at, key })
  }
}
