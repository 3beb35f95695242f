/**
 * What the screens need of the client, and nothing more.
 *
 * Screens know only this file, so each can be tested on a few records in memory; `ottla-source.ts` makes it real.
 */

import type { GroupLag } from '../client/admin/group-lag.ts'
import type { GroupDescription, GroupMember } from '../client/admin/groups.ts'
import type { OutboxEntry, Status, StoredDurability } from '../client/core.ts'
import type { ErrorInfo } from '../client/errors.ts'
import type { ImportOutcome } from '../client/outbox/outbox-file.ts'
import type { Credentials } from '../client/sign-in/credentials.ts'

export interface LogRecord {
  topic: string
  partition: number
  offset: number
  timestampMs: number
  key: Uint8Array | null
  value: Uint8Array | null
  headers: readonly RecordHeader[]
}

export interface RecordHeader {
  key: string
  value: Uint8Array | null
}

export interface PartitionSummary {
  partition: number
  /** The relay's range as last heard of; null when never. */
  log: { start: number; end: number } | null
  replica: { start: number; end: number; upToDate: boolean } | null
}

export interface TopicSummary {
  name: string
  id: string
  partitions: PartitionSummary[]
}

export interface TopicList {
  topics: TopicSummary[]
  /** False: the relay was not reached, these are the topics this device knows. */
  fromRelay: boolean
}

/** A group of consumers, with where it is in every partition. */
export interface GroupSummary extends GroupDescription {
  lag: GroupLag[]
}

/** `last` counts records over all partitions; `offset` holds for each partition that is read. */
export type ReadFrom = { last: number } | { offset: number } | { timestampMs: number } | 'beginning' | 'end'

export interface ReadOptions {
  from: ReadFrom
  /** Default: all. */
  partition?: number
  /** Go on when the end is reached. */
  follow: boolean
  signal: AbortSignal
}

export interface WriteInput {
  topic: string
  key: string | null
  value: string
  headers: { key: string; value: string }[]
}

/** The two moments of a write. Either rejects with an OttlaError. */
export interface WriteReceipt {
  stored: Promise<StoredDurability>
  committed: Promise<{ partition: number; offset: number }>
}

export interface Source {
  status(): Status
  /** Whose records this device keeps; null: nobody has signed in. */
  owner(): string | null
  /** Resolves when the relay has let this page in; rejects with why it did not. */
  signIn(credentials: Credentials): Promise<void>
  /** Empties what this device keeps of them. Rejects UNSENT_WRITES when there are some and they are not to be discarded. */
  signOut(pending: 'refuse' | 'discard'): Promise<void>
  /** Calls at once and after every change. */
  onStatus(listener: (status: Status) => void): () => void
  /** Which context holds connection and replica. */
  host(): string
  topics(): Promise<TopicList>
  /** By name. Rejects DISCONNECTED while offline: nobody but the relay knows them. */
  groups(): Promise<GroupSummary[]>
  /** Keeps a replica of the topic from now on, so that it can be read offline. */
  keep(topic: string): Promise<void>
  /** Batches of records, ascending within each partition. */
  read(topic: string, options: ReadOptions): AsyncIterable<LogRecord[]>
  write(input: WriteInput): WriteReceipt
  outbox: {
    list(): Promise<OutboxEntry[]>
    retry(id: string): Promise<void>
    discard(id: string): Promise<void>
    /** Everything that waits, as a file that a person can keep. */
    export(): Promise<Blob>
    /** Takes such a file in; nothing of it twice. */
    import(file: Blob): Promise<ImportOutcome>
  }
}

export type { ErrorInfo, GroupLag, GroupMember, OutboxEntry, Status }
