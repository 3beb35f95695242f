/**
 * What a page and the context that keeps its tables say to each other. Plain data: it crosses a worker's border.
 *
 * Keys and values are bytes here; serdes stay with the page. An index is a path into JSON values, not a function, since
 * the worker keeps it, and whoever opens the table tomorrow must mean the same by its name.
 */
import type { ReplicaPolicy } from '../core.ts'
import type { ErrorInfo } from '../errors.ts'
import type { KeyInterval } from './key-order.ts'

export interface TableDefinition {
  topic: string
  /** Path into the JSON value (`customer.city`) by the index's name. An array there gives an entry for each element. */
  indexes: Readonly<Record<string, string>>
  /** What the replica keeps of the topic's log if it keeps nothing yet. */
  policy: ReplicaPolicy
  /** After so long without the relay tombstones may be gone from the log, and the table is read anew. */
  tombstonesKeptMs: number
}

/** As a reader sees it: the newest pending write, else what the log says. */
export interface TableRow {
  key: Uint8Array
  /** null: deleted, and the tombstone is pending. */
  value: Uint8Array | null
  /** -1 and -1 while pending and nothing is known of the key in the log. Else of the record in the log, below pending ones too. */
  partition: number
  offset: number
  /** Of the record, in ms since the epoch. */
  timestamp: number
  /** Of the entry in the outbox that carries the value; absent: it is from the log. */
  pendingId?: string
  /** With `pendingId`: the value in the log, null when there is none. */
  below?: Uint8Array | null
}

/** Where the next page begins: behind this row. */
export interface TableCursor {
  /** The entry's key in the index; in the table itself the key again. */
  at: Uint8Array
  key: Uint8Array
}

export interface TableSelection extends KeyInterval {
  /** null: by the table's keys. */
  index: string | null
}

export interface TableRead extends TableSelection {
  after: TableCursor | null
  isReverse: boolean
  countMax: number
}

export interface BareTable {
  /**
   * The topic whose rows, as they lie in the database, are all that there is to see: nothing waits over them, and pages can read
   * them. null: they cannot, or must not now.
   */
  bareTopicId: string | null
}

export interface TablePage extends BareTable {
  rows: TableRow[]
  /** null: that was all. */
  next: TableCursor | null
}

export interface TableChange {
  key: Uint8Array
  /** null: nothing was there. */
  before: TableRow | null
  after: TableRow | null
  /** A pending write was refused, or taken back: this is why the row is as it was. */
  rolledBack?: { id: string; error: ErrorInfo }
  /** Records of the log that came for a key with pending writes, in their order. */
  passed?: PassedRecord[]
}

export interface PassedRecord {
  partition: number
  offset: number
  value: Uint8Array | null
  /** Of the write that it came from, if that was one of a table with a merge function. */
  writeId: string | null
}

export interface TableState {
  /** All that the log had when the relay was last reached has been taken in at least once. */
  isReady: boolean
  /** The relay's log and the table are the same, as far as can be known now. */
  isUpToDate: boolean
  /** Why it does not get on, if it does not. */
  error: ErrorInfo | null
}

export interface OpenedTable extends BareTable {
  state: TableState
}

/** What one step has changed: all that one write, one transaction, or one piece of the log has. */
export interface TableNews extends OpenedTable {
  topic: string
  changes: TableChange[]
  /** Changes were too many to be told one by one: read again what you show. */
  isReset: boolean
}

export interface TableCalls {
  /** Opens (or goes on with) a table. The newest definition holds; indexes that it changes are made anew. */
  open(definition: TableDefinition): Promise<OpenedTable>
  read(definition: TableDefinition, read: TableRead): Promise<TablePage>
  count(definition: TableDefinition, selection: TableSelection): Promise<number>
  onNews(listener: (news: TableNews) => void): () => void
}

/**
 * Of records that a table with a merge function writes: which write it was, so that it knows its own when they come back,
 * and the place of the record that the writer saw in the log: `<id> <partition> <offset>`.
 */
export const WRITE_ID_HEADER = 'ottla-write'
