/**
 * The seam between what a page holds (typed topics, encoding, reading) and what may live in a worker (connection,
 * replica, outbox).
 *
 * Invariants: calls are few and coarse; every argument and result can be cloned between contexts (plain data and
 * Uint8Arrays, no functions but the listeners); records are never looked into here, only whole batches cross.
 * Errors are OttlaErrors; a bridge carries them as ErrorInfo.
 */
import type { AbortedTransaction } from '../protocol/messages/offset-protocol.ts'
import type { ChannelAnswer, ChannelAsk } from './channels/ask.ts'
import type { DocumentAsk, KeptDocument } from './documents/kept-documents.ts'
import type { OpenDocument, OpenedDocument } from './documents/open-document.ts'
import type { ErrorInfo } from './errors.ts'
import type { LogoutOptions, LogoutOutcome } from './logout/options.ts'
import type { GroupProgress, ProgressQuery } from './receipts/progress.ts'
import type { ApiName } from './relay-apis.ts'
import type { SecretChange } from './replica/sealed/encryption.ts'
import type { ConnectionState } from './session.ts'
import type { Credentials } from './sign-in/credentials.ts'
import type { TableCalls } from './table/seam.ts'

export interface TopicInfo {
  name: string
  /** 22 characters; a topic that was deleted and made again has another. */
  id: string
  partitionCount: number
}

/** What a replica keeps of each partition. Nothing set: everything. Several limits: the first one reached cuts. */
export interface ReplicaPolicy {
  /** At least the last so many offsets; older whole chunks go. */
  lastRecords?: number
  sizeBytesMax?: number
  /** By the record's timestamps against the wall clock. */
  ageMsMax?: number
  /** Where a replica that holds nothing yet begins. Default: 'beginning', or as far back as the limits need. */
  from?: 'beginning' | 'end'
  /**
   * Only records with one of these keys, or whose key begins with one of `prefixes`; text stands for its UTF-8. The relay leaves
   * out the others. Who asks for more of a topic that is kept in part widens it for all; see `stopReplicating`.
   */
  keys?: ReadonlyArray<string | Uint8Array>
  prefixes?: ReadonlyArray<string | Uint8Array>
  /** Topics with a higher one are fetched first: the others wait until these are up to date. Default 0, or what it was before. */
  priority?: number
  /** Kept until the topic's table has taken it in, which holds the newest of each key. */
  onlyForTable?: true
}

/** What the replica holds of one partition: the offsets [start, end). */
export interface ReplicaRange {
  topic: string
  topicId: string
  partition: number
  start: number
  end: number
  /** The end of what is decided at the relay (its last stable offset) when last heard of; -1 when never. */
  relayEnd: number
  /** `end` was `relayEnd` on a connection that is live now. */
  upToDate: boolean
  /**
   * Grows whenever what was held before is no longer valid: the log was truncated below `end`, the topic was made
   * anew, or the replica began again. A reader that sees it change re-reads the range before it goes on.
   */
  generation: number
  /** What of the log is held in there, as a text (key-filter.ts); absent: all of it. */
  filter?: string | undefined
  /** With a new generation: what lies below is as it was; Infinity: all of it. Absent: nothing is, begin again at `start`. */
  cutAt?: number
}

/** A replica has moved: more at the end, less at the start, or another generation. Gives the new state whole. */
export type Advanced = ReplicaRange

/** A row of the replica: whole batches, ascending. `baseOffset` may lie below the offset that was asked for. */
export interface StoredChunk {
  baseOffset: number
  nextOffset: number
  batches: Uint8Array
  /** Aborted transactions that have batches in it; left out when there is none. */
  aborted?: readonly AbortedTransaction[]
}

/** Where an `enqueue`d batch, or a transaction, ended. Told once for each id; a parked or unknown one again after `retry`. */
export type Settled =
  | {
      id: string
      outcome: 'committed'
      /** By the record's index in the enqueued batch; of a transaction, in all its batches one after another. */
      partitions: number[]
      /** By the record's index; -1 where the record is in the log but the relay no longer knows where. */
      offsets: number[]
      /** Some of it was acknowledged before it was on the relay's disk, or nobody could say. */
      isRelaxed?: boolean
    }
  | { id: string; outcome: 'parked' | 'unknown' | 'discarded'; error: ErrorInfo }

export interface EnqueuedWrite {
  /** Chosen by the sender, unique for ever (a random uuid); an `enqueue` with a known id is answered, not repeated. */
  id: string
  topic: string
  /** null: the outbox partitions record by record (key by murmur2, no key sticky). A compressed batch needs a number. */
  partition: number | null
  /** One RecordBatch v2 without producer, base offset 0. Transferred: the sender must not touch it again. */
  batch: Uint8Array
}

/** Writes that are stored together and are in the log together, or not at all. */
export interface EnqueuedTransaction {
  /** As of an EnqueuedWrite. */
  id: string
  writes: ReadonlyArray<Omit<EnqueuedWrite, 'id'>>
  /** Refused when it could not be begun by then. Wall clock; null: it waits for as long as it takes. */
  expiresAtMs: number | null
}

/** 'device' survives a crash and a power cut; 'memory' lasts as long as this context. */
export type StoredDurability = 'device' | 'memory'

export type OutboxEntryState = 'pending' | 'in-flight' | 'parked' | 'unknown'

export interface OutboxEntry {
  id: string
  /** Of a transaction: the first. */
  topic: string
  /** Set when it is one: all its topics. */
  transaction?: { topics: string[] }
  /** null while not all records have been given one, or when they have several. */
  partition: number | null
  state: OutboxEntryState
  recordCount: number
  sizeBytes: number
  storedAtMs: number
  /** Why it is parked or unknown. */
  error: ErrorInfo | null
}

/** An entry with its bytes, for an export that a person can keep. */
export interface ExportedEntry extends OutboxEntry {
  batch: Uint8Array
  /** Of an entry in several parts: the places of these records among all of its own. */
  part?: { indexes: readonly number[]; recordCountOfAll: number }
}

export interface OutboxDepth {
  /** Entries waiting for the relay, in flight included. */
  pendingEntries: number
  pendingRecords: number
  pendingBytes: number
  /** Entries that wait for a person: parked or of unknown outcome. */
  parkedEntries: number
}

export interface TopicStatus {
  name: string
  outbox: OutboxDepth
  replica: ReplicaRange[]
}

export type StatusState = 'connecting' | 'live' | 'catching-up' | 'offline' | 'needs-auth' | 'closed'

/** Everything a status line shows. Plain data; a new object whenever anything in it changes. */
export interface Status {
  /** 'catching-up' is live with `behindRecords` > 0. */
  state: StatusState
  connection: ConnectionState
  /** Offsets that replicated partitions lack up to the relay's ends as last heard of; counts compacted gaps too. */
  behindRecords: number
  outbox: OutboxDepth
  topics: TopicStatus[]
  /** Why replicas stand still though there may be a connection; null: they do not. Writes go out all the same, unless: */
  replicasPaused: PauseReason | null
  /** Why nothing is sent out of the outbox though there may be a connection; null: it is. */
  writesPaused: PauseReason | null
  /** The name of the replica's database; null when everything is in memory only. */
  replica: string | null
  /** The last trouble with this device's storage, null when it works. */
  storageError: ErrorInfo | null
  /** Whether the browser has promised not to clear it by itself; null: it does not say, or this is no page. */
  persisted: boolean | null
  /**
   * Add to the local wall clock to get the relay's; null before the first connection. For showing ages and times: order is the
   * log's, whatever clocks say.
   */
  clockOffsetMs: number | null
  /** `clockOffsetMs` is right to this many milliseconds, as far as can be known. */
  clockErrorMs: number | null
}

/** 'asked' by the application; 'metered': the connection costs by the byte, and the application asked for a pause then. */
export type PauseReason = 'asked' | 'metered'

/** What is to stand still, and why. */
export type Pause = `${'replicas' | 'writes'}-${PauseReason}`

export interface RequestOptions {
  /** Default: the session's requestTimeoutMs. */
  timeoutMs?: number
  /** Ask this broker of an Apache Kafka instead of the one that is connected. A relay has no others. */
  broker?: { host: string; port: number }
  /** Must not be made twice: whoever cannot know whether it was made says OUTCOME_UNKNOWN. */
  isChange?: boolean
}

export interface Outbox {
  /** Pending first in the order in which they will be sent, then parked and unknown. */
  list(topic?: string): Promise<OutboxEntry[]>
  /** Puts a parked or unknown entry back at the end of its queue. An unknown one may then be in the log twice. */
  retry(id: string): Promise<void>
  /** Forgets an entry that is not in flight. Its `Settled` says 'discarded'. */
  discard(id: string): Promise<void>
  /** With their bytes, oldest first; of these ids, or all. */
  export(ids?: readonly string[]): Promise<ExportedEntry[]>
}

export interface Core {
  /** How often users of this replica were logged out; -1 while that is not known. */
  readonly life: number
  status(): Status
  onStatus(listener: (status: Status) => void): () => void

  /** From the replica when offline. Rejects UNKNOWN_TOPIC, or DISCONNECTED when offline and never heard of. */
  topic(name: string): Promise<TopicInfo>

  /** Resolves when stored. Rejects OUTBOX_FULL, QUOTA_EXCEEDED, STORAGE_FAILED, INVALID_ARGUMENT, CLOSED. */
  enqueue(write: EnqueuedWrite): Promise<{ durability: StoredDurability }>
  /** The same for several writes, which are stored in one step. */
  enqueueTransaction(transaction: EnqueuedTransaction): Promise<{ durability: StoredDurability }>
  /** Takes a write, or a transaction, back that no send has begun for. Resolves false when it is too late. */
  withdraw(id: string): Promise<boolean>
  onSettled(listener: (settled: Settled[]) => void): () => void
  /**
   * What became of writes that were stored: for a page that may have missed `onSettled` because its worker died. An
   * entry for each id that is settled (remembered on the device for a day at least, so that a repeated `enqueue` of a
   * committed id is answered and not written twice), none for one still waiting; 'unknown' for an id never heard of.
   */
  outcomes(ids: string[]): Promise<Settled[]>

  /** Begins (or goes on) keeping a replica of the topic; the newest policy holds, with the keys of all. Resolves without the network if known. */
  replicate(topic: string, policy: ReplicaPolicy): Promise<ReplicaRange[]>
  /** Ends replication; what is stored stays until the database is removed or space is needed. */
  stopReplicating(topic: string): Promise<void>
  /**
   * All replicas stand still while there is a reason: nothing is fetched for them, and what is held is read. Or all writes: they
   * are stored, and sent later; what is on its way gets there.
   */
  pause(pause: Pause, isPaused: boolean): Promise<void>
  onAdvanced(listener: (advanced: Advanced[]) => void): () => void
  /**
   * Chunks from the one that holds `offset` on: at least one if there is any, about `bytesMax` in all. One without batches
   * says that nothing is left up to its end.
   */
  readReplica(topicId: string, partition: number, offset: number, bytesMax: number): Promise<StoredChunk[]>

  /**
   * How far a group has come with a partition: when it is decided what became of the record asked for, or after `waitMs`.
   * Waits for the connection. Rejects NOT_AUTHORIZED, TOPIC_RECREATED, UNSUPPORTED, CLOSED.
   */
  progress(query: ProgressQuery, waitMs: number): Promise<GroupProgress>

  /** Takes part in a channel; see there. Rejects NOT_AUTHORIZED, UNKNOWN_TOPIC, UNSUPPORTED, CLOSED. */
  channel(ask: ChannelAsk): Promise<ChannelAnswer>

  /** A document as this device keeps it; null: it keeps none that can be relied upon. Rejects STORAGE_FAILED, CLOSED. */
  keptDocument(ask: DocumentAsk): Promise<KeptDocument | null>
  /** What the log has of a document. Rejects DISCONNECTED at once when offline, and as the relay refuses it. */
  openDocument(ask: OpenDocument): Promise<OpenedDocument>

  /** One admin call. Rejects DISCONNECTED at once when offline. Bodies are the message types of protocol/messages. */
  request(name: ApiName, body: unknown, options?: RequestOptions): Promise<unknown>

  readonly outbox: Outbox
  readonly tables: TableCalls

  /** The device woke up (visible again, online again): reconnect without waiting, or probe the connection. */
  wake(): void
  /** Leaves needs-auth and connects again, or signs in again on the live connection. Default: as before. */
  reauthenticate(credentials?: Credentials): Promise<void>
  /**
   * From now on the replica opens with another secret. One step: whatever fails or dies in it, one of the two opens it. Rejects
   * LOCKED when `from` is not its secret, INVALID_ARGUMENT when it has none, STORAGE_FAILED.
   */
  changeSecret(change: SecretChange): Promise<void>
  /**
   * Ends the user's time on this device, for all tabs: see LogoutOptions. Rejects UNSENT_WRITES (then nothing has changed),
   * STORAGE_FAILED. Afterwards the core is closed.
   */
  logout(options?: LogoutOptions): Promise<LogoutOutcome>
  /** Idempotent. Writes that are stored stay stored. */
  close(): Promise<void>
}
