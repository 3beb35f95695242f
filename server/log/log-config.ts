/**
 * What a topic's configuration means to its logs. Names are Kafka's topic settings in camelCase; all sizes in bytes, all
 * times in milliseconds, -1 means no limit. Read anew at each use, so a change takes effect at once.
 */
import type { Durability } from './durability.ts'

export interface LogConfig {
  /** A segment is closed before it would exceed this. segment.bytes; default 128 MiB. */
  segmentBytes: number
  /** A segment is closed when it has been written to for so long. segment.ms; default 7 days. */
  segmentMs: number
  /** Largest batch, its 12 bytes of offset and length included. max.message.bytes; default 1 MiB + 12. */
  maxMessageBytes: number
  /** message.timestamp.type; default CreateTime. */
  messageTimestampType: 'CreateTime' | 'LogAppendTime'
  /** How far ahead of the wall clock a record may claim to be. message.timestamp.after.max.ms; default 1 h. */
  messageTimestampAfterMaxMs: number
  /** Closed segments whose youngest record is older are dropped. retention.ms; default 7 days. */
  retentionMs: number
  /** Closed segments are dropped from the front while the log is larger. retention.bytes; default -1. */
  retentionBytes: number
  /** What becomes of old records: whole segments go by age and size, or all but the newest of each key, or both. */
  cleanupPolicy: CleanupPolicy
  /** How long a tombstone, or a marker without records, stays after compaction first met it. delete.retention.ms; 1 day. */
  deleteRetentionMs: number
  /** A log is compacted when this share of its closed segments has been written since. min.cleanable.dirty.ratio; 0.5. */
  minCleanableDirtyRatio: number
  /** Younger records are not compacted. min.compaction.lag.ms; default 0. */
  minCompactionLagMs: number
  /** Older records are compacted whatever the ratio, and their segment is closed for it. max.compaction.lag.ms; no limit. */
  maxCompactionLagMs: number
  /** What an acknowledgement promises; see durability.ts. ottla.durability; default fsync. */
  durability: Durability
  /** How long a relaxed write may wait for its sync. flush.ms; default 1 s. */
  flushMs: number
  /** A producer that wrote nothing for so long is forgotten. producer.id.expiration.ms; 30 days: phones go away for weeks. */
  producerIdExpirationMs: number
}

export type CleanupPolicy = 'delete' | 'compact' | 'compact,delete'

export const isCompacted = (policy: CleanupPolicy): boolean => policy !== 'delete'
export const isDeleted = (policy: CleanupPolicy): boolean => policy !== 'compact'

const DAY_MS = 86_400_000

export const DEFAULT_LOG_CONFIG: LogConfig = {
  segmentBytes: 128 * 1024 * 1024,
  segmentMs: 7 * DAY_MS,
  maxMessageBytes: 1_048_588,
  messageTimestampType: 'CreateTime',
  messageTimestampAfterMaxMs: 3_600_000,
  retentionMs: 7 * DAY_MS,
  retentionBytes: -1,
  cleanupPolicy: 'delete',
  deleteRetentionMs: DAY_MS,
  minCleanableDirtyRatio: 0.5,
  minCompactionLagMs: 0,
  maxCompactionLagMs: Number.MAX_SAFE_INTEGER,
  durability: 'fsync',
  flushMs: 1000,
  producerIdExpirationMs: 30 * DAY_MS,
}
