/**
 * What a replica and an outbox need from a database, as atomic units.
 *
 * Invariants that every implementation keeps (test/contract/replica-store.ts):
 *  - a unit happens whole or not at all, also when the process dies in it, and has happened when its promise resolves;
 *  - one writer: every unit carries out only while the store still holds the token of the last `claim`. A writer that was
 *    taken over gets `fenced`, one whose database was cleared under it gets `evicted`, one whose user was logged out gets
 *    `logged-out`, and none has changed anything;
 *  - units of the outbox are durable against a power cut (strict) unless they say otherwise; those of the replica need not
 *    be, as everything in it can be fetched again, but data and position always go together;
 *  - bytes handed in are copied when they are a view, so a row never drags its neighbours' buffer along.
 */
import type { AbortedTransaction } from '../../protocol/messages/offset-protocol.ts'
import type { ReplicaPolicy } from '../core.ts'
import type { SealingRecord, SecretChange } from './sealed/encryption.ts'
import type { OutboxChange, OutboxRow, ProducerIdentity, SealedBatch, SettledWrite } from './store-outbox.ts'

export interface StoredTopic {
  topicId: string
  name: string
  partitionCount: number
  /** null: only known, not replicated. */
  policy: ReplicaPolicy | null
}

/** How far one partition's replica reaches. Written in the same unit as the data that it speaks of. */
export interface StoredPosition {
  topicId: string
  partition: number
  /** The first offset held; nothing below it is. */
  start: number
  /** The next offset wanted: everything in [start, nextOffset) that the relay had is held, and is decided. */
  nextOffset: number
  /** Of the last batch held; -1 when none is. */
  leaderEpoch: number
  /** The relay's log start when last heard of. */
  logStart: number
  /** Raised when offsets already told to readers are no longer valid. */
  generation: number
  /** Bytes of all chunks of the partition. */
  sizeBytes: number
  /** Chunks below are merged, or were large from the start. */
  mergedUpTo: number
  /** Rows know which transactions were aborted. Left out by versions that did not keep it (undecided.ts). */
  knowsAborted?: true
  /** What in [start, nextOffset) was asked for, as a text (key-filter.ts); left out: everything. */
  filter?: string
}

/** One row: whole batches in ascending order. Its key is [topicId, partition, nextOffset - 1]. */
export interface ChunkRow {
  baseOffset: number
  nextOffset: number
  maxTimestamp: number
  bytes: Uint8Array
  /** Aborted transactions that have batches in it; left out when there is none. */
  aborted?: readonly AbortedTransaction[]
}

export interface Delivery {
  position: StoredPosition
  chunks: readonly ChunkRow[]
}

/** Replaces the chunks that lie in [fromOffset, toOffset) by others, and the position, at once. */
export interface ChunkReplacement {
  position: StoredPosition
  /** Chunks whose last offset is at or above this go. */
  fromOffset: number
  /** Chunks whose last offset is at or above this stay. */
  toOffset: number
  chunks: readonly ChunkRow[]
}

/** One document's state at an offset of its partition; see client/documents. */
export interface StoredDocument {
  topicId: string
  documentId: string
  partition: number
  /** Of the partition's replica when it was kept. */
  generation: number
  nextOffset: number
  update: Uint8Array
}

/** Everything small, read once when a writer takes over. */
export interface StoreContents {
  replicaId: string
  /** No replica id was found: the database is new, or was cleared. Nothing in it was trusted. */
  isNew: boolean
  /** How many writers there have been; larger at each claim. */
  claimNumber: number
  /** How often its users were logged out. */
  life: number
  topics: StoredTopic[]
  positions: StoredPosition[]
  sealed: SealedBatch[]
  identities: ProducerIdentity[]
  settled: SettledWrite[]
}

export interface StoreClaim {
  /** Random; identifies this writer. */
  token: string
  /** Used when the database has no replica id. */
  newReplicaId: string
  /** Only in this life, else `logged-out`. A new database begins in it. Default: whichever it is. */
  life?: number | null
  /** How rows are encrypted: a new database is so from now on, one that is otherwise rejects `locked`. */
  sealing?: SealingRecord
}

export interface ReplicaStore {
  /** 'device' survives crash and power cut, 'memory' neither. */
  readonly durability: 'device' | 'memory'

  /** Makes the caller the only writer. Must come first; may come again after `fenced` or a lost connection. */
  claim(claim: StoreClaim): Promise<StoreContents>

  putTopics(topics: readonly StoredTopic[]): Promise<void>
  /** The topic, its positions, its chunks and its documents. */
  dropTopic(topicId: string): Promise<void>
  /** Data and positions of any number of partitions, in one unit. */
  commitDelivery(deliveries: readonly Delivery[]): Promise<void>
  replaceChunks(replacement: ChunkReplacement): Promise<void>
  /**
   * From the chunk that holds `offset` (or the next one above), ascending: one at least if there is any, until `bytesMax`.
   * Rejects with CorruptChunks when one of them cannot be read.
   */
  readChunks(topicId: string, partition: number, offset: number, bytesMax: number): Promise<ChunkRow[]>

  /** undefined as well for one that cannot be read: it is made again. */
  readDocument(topicId: string, documentId: string): Promise<StoredDocument | undefined>
  /** In place of what was there; documents that were put longest ago go when there is too much of them. Relaxed. */
  putDocument(document: StoredDocument): Promise<void>
  /** All of them. False when there was none. */
  dropDocuments(): Promise<boolean>

  changeOutbox(change: OutboxChange): Promise<void>
  /** Ascending by key, from the first above `afterKey`. */
  readOutbox(afterKey: number, countMax: number): Promise<OutboxRow[]>
  /** In the order of `keys`; undefined where there is no such row. */
  readOutboxRows(keys: readonly number[]): Promise<Array<OutboxRow | undefined>>

  /** Of a store that is encrypted under a secret: from now on another opens it, and the old one does not. Strict. */
  changeSecret?(change: SecretChange): Promise<void>

  /**
   * Ends this life of the replica: everything goes, in one strict unit, with or without the outbox (and what makes it
   * exactly once). Whoever wrote before gets `logged-out` from now on, the caller too.
   */
  end(keepOutbox: boolean): Promise<void>

  /** Told when somebody else closed the database under us. Whether anything is left in it, the next unit tells. */
  onInterrupted(listener: () => void): () => void
  /** Waits for units that have begun. Idempotent. */
  close(): Promise<void>
}
