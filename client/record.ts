/** Records as an application sees them. */
import type { RecordHeader } from '../protocol/records.ts'

export type { RecordHeader }

/** What `send` takes. */
export interface OutgoingMessage<K, V> {
  /** Records of one key go to one partition and keep their order. Left out or null: no key, any partition. */
  key?: K | null
  /** null is a tombstone: in a compacted topic it removes the key. */
  value: V | null
  headers?: readonly RecordHeader[] | Readonly<Record<string, string | Uint8Array>>
  /** Milliseconds since the epoch. Default: now, by this device's clock. */
  timestamp?: number
  /** Default: chosen by key as Kafka's own clients do, without a key at random for a batch at a time. */
  partition?: number
}

/** What a reader gives. Plain data. */
export interface TopicRecord<K, V> {
  topic: string
  partition: number
  offset: number
  /** Milliseconds since the epoch: the producer's time or the log's, as the topic is configured. */
  timestamp: number
  key: K | null
  value: V | null
  headers: readonly RecordHeader[]
  /** On the first record behind a gap in its partition. */
  gap?: Gap
}

/** Offsets that a reader should have given and could not. Never silent: `onGap`, and `gap` on the next record. */
export interface Gap {
  partition: number
  /** The offset that was wanted. */
  from: number
  /** The offset where reading goes on. Lower than `from` when the log was truncated and written anew. */
  to: number
  /**
   * 'deleted': the log (or the replica, by its policy) no longer begins that early. 'truncated': the log lost its end,
   * records from `to` on were given that are no longer in it.
   */
  reason: 'deleted' | 'truncated'
}
