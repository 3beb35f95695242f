/**
 * Records folded onto rows: which rows a piece of one partition's log changes, and where they lie in indexes then. Pure; the
 * store reads the rows and writes the outcome in the same step.
 *
 * The last record of a key wins, by its offset. Keys belong to one partition, as all clients of Kafka place them; where
 * one is found in two (the topic was given more partitions, or somebody placed it by hand) the younger record wins.
 */
import type { RawRecord } from '../../protocol/records.ts'
import { indexKeysAt, parsedJson } from './index-key.ts'
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

/** As it is written: with all places that it has in the indexes in force. */
export interface PlacedRow extends StoredRow {
  places: IndexPlace[]
}

export interface IndexPlace {
  index: string
  at: Uint8Array
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
      if (before) change.deletes.push(before.key)
      return
    }
    const row = { key: key!.slice(), value: value.slice(), partition, offset, timestamp, build }
    change.puts.push({ ...row, places: placesOf(row.value, indexes) })
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
export function foldRemoval(gone: readonly StoredRow[], position: TablePosition): RowChange {
  return { position, puts: [], deletes: gone.map(({ key }) => key) }
}

/** The same rows, where `indexes` have them. */
export function foldIndexing(rows: readonly StoredRow[], position: TablePosition, indexes: Indexes): RowChange {
  return { position, puts: rows.map((row) => ({ ...row, places: placesOf(row.value, indexes) })), deletes: [] }
}

export const emptyChange = (position: TablePosition): RowChange => ({ position, puts: [], deletes: [] })

function placesOf(value: Uint8Array, indexes: Indexes): IndexPlace[] {
  const paths = Object.entries(indexes)
  if (paths.length === 0) return []
  const parsed = parsedJson(value)
  return paths.flatMap(([index, path]) => indexKeysAt(parsed, path).map((at) => ({ index, at })))
}
