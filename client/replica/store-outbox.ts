/**
 * The outbox's rows. A row is one enqueued batch and never changes its bytes; a sealed batch is a list of rows with the
 * stamp under which the relay knows them. So sealing writes a few dozen bytes, and what is sent can be made again from
 * the rows, byte for byte, after any crash.
 */
import type { ErrorInfo } from '../errors.ts'

/**
 * waiting: to be sent (or sealed and in flight). parked, unknown: waits for a person. transaction: to be sent together with
 * all rows of its id; a state of its own, so that a version that knows no transactions leaves it alone.
 */
export type OutboxRowState = 'waiting' | 'transaction' | 'parked' | 'unknown'

export interface OutboxRow {
  /** Order of arrival. The low 16 bits number the parts of a write whose records went to several partitions. */
  key: number
  /** Chosen by the sender. Parts of one write share it. */
  id: string
  topic: string
  /** null until chosen; then chosen at sealing, or for good by splitting. */
  partition: number | null
  batch: Uint8Array
  recordCount: number
  storedAtMs: number
  state: OutboxRowState
  error: ErrorInfo | null
  /** Set on parts: the records' indexes among all that were enqueued under the id, and how many those are. */
  part: { indexes: number[]; recordCountOfAll: number } | null
  /** Set on the rows of a transaction. */
  transaction?: TransactionPart
}

export interface TransactionPart {
  /** Not begun after this. Wall clock; null: whenever it is. */
  expiresAtMs: number | null
  /** Its end may have been asked for: these marks tell whether it has come to pass. */
  attempt: readonly Mark[] | null
}

/** What the outbox's group has committed for a topic (partition 0). */
export interface Mark {
  topic: string
  /** What stood there before the transaction. */
  before: string
}

export interface SealedBatch {
  /** Ascending in the order of sealing. */
  key: number
  topic: string
  topicId: string
  partition: number
  /** In the order in which their records lie in the batch. */
  rowKeys: number[]
  recordCount: number
  producerId: number
  producerEpoch: number
  baseSequence: number
  /** Wall clock; tells whether the relay may have forgotten the producer since. */
  sealedAtMs: number
}

/** Under which stamp the next batch of a partition will be sealed. */
export interface ProducerIdentity {
  topicId: string
  partition: number
  producerId: number
  producerEpoch: number
  nextSequence: number
}

/** A write that has ended, kept a while so that an `enqueue` repeated after a hand-over is answered and not repeated. */
export interface SettledWrite {
  id: string
  atMs: number
  recordCount: number
  /** For each record; or one entry each, when all went to one partition and their offsets follow each other. */
  partitions: number[]
  offsets: number[]
  /** Some of it was acknowledged before it was on the relay's disk, or nobody could say. */
  isRelaxed?: boolean
}

/** One atomic step of the outbox. Deletes come before puts. */
export interface OutboxChange {
  deleteRows?: readonly number[]
  putRows?: readonly OutboxRow[]
  deleteSealed?: readonly number[]
  putSealed?: readonly SealedBatch[]
  deleteIdentities?: ReadonlyArray<{ topicId: string; partition: number }>
  putIdentities?: readonly ProducerIdentity[]
  deleteSettled?: readonly string[]
  putSettled?: readonly SettledWrite[]
  /**
   * 'strict' (default) is on disk when it resolves. 'relaxed' only for what may be done again after a power cut: an
   * acknowledged batch that comes back is recognised by the relay.
   */
  durability?: 'strict' | 'relaxed'
}

const PARTS_PER_WRITE = 65_536

export const partKey = (key: number, part: number): number => key + part
export const keyAfter = (key: number): number => (Math.floor(key / PARTS_PER_WRITE) + 1) * PARTS_PER_WRITE
export const PARTS_MAX = PARTS_PER_WRITE - 1
