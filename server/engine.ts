/**
 * The seam under the API handlers and the fan-out hub: what they need of whatever holds the log.
 *
 * The embedded engine owns logs on disk. Invariants: a topic id is never used twice; a partition that was handed out
 * stays the same object for the topic's life; a topic that is listed has all its partitions open (or offline, each with
 * its fault).
 */
import type { TopicConfig } from './config.ts'
import type { HeldLog } from './log/held-files.ts'
import type { PartitionLog } from './log/partition-log.ts'

export interface Topic {
  readonly id: string
  readonly name: string
  readonly partitions: readonly PartitionLog[]
  /** What differs from the relay's defaults, as text. */
  readonly configOverrides: Readonly<Record<string, string>>
  /** Overrides and defaults together. */
  readonly config: TopicConfig
}

export interface NewTopic {
  name: string
  /** -1: the relay's default. */
  partitionCount: number
  configs: Readonly<Record<string, string>>
}

/** What a topic would be; it has no id yet. */
export interface CheckedTopic extends Pick<Topic, 'id' | 'name' | 'configOverrides' | 'config'> {
  partitionCount: number
}

/** Small facts that belong to the cluster, by key. Values are plain data; null takes one away. */
export interface Facts {
  get(key: string): unknown
  /** Those whose key begins so, whole keys. */
  entries(prefix: string): Iterable<[key: string, value: unknown]>
  /** Resolves when it is on disk. */
  put(key: string, value: unknown): Promise<void>
}

export interface Engine {
  /** The same for the life of the data folder. */
  readonly clusterId: string
  /** How far the log of topics and other metadata is. */
  readonly metadataPosition: { leaderEpoch: number; highWatermark: number }
  /** Why no change of topics can be written. */
  readonly metadataFault: string | undefined
  /** Another number after each topic that was made, grown or deleted. */
  readonly topicsVersion: number
  readonly facts: Facts
  topics(): Iterable<Topic>
  /** Logs of the engine's own that are compacted beside those of topics. */
  internalLogs?(): ReadonlyArray<{ name: string; log: PartitionLog }>
  topicByName(name: string): Topic | undefined
  topicById(id: string): Topic | undefined
  /** Throws KafkaError TOPIC_ALREADY_EXISTS, INVALID_TOPIC_EXCEPTION, INVALID_PARTITIONS, INVALID_CONFIG. */
  createTopic(topic: NewTopic): Promise<Topic>
  /** The checks of `createTopic` without its effect. The id is NULL_UUID. */
  checkNewTopic(topic: NewTopic): CheckedTopic
  deleteTopic(id: string): Promise<void>
  /** Throws KafkaError INVALID_PARTITIONS unless that is more than there are. */
  growTopic(id: string, partitionCount: number, options?: { validateOnly?: boolean }): Promise<void>
  /** `changesOf` is asked when all changes before this one have been made; `null` takes an override back. */
  alterTopic(
    id: string,
    changesOf: (topic: Topic) => Readonly<Record<string, string | null>>,
    options?: { validateOnly?: boolean },
  ): Promise<void>
  /** Unique for ever, over restarts too. */
  nextProducerId(): Promise<number>
  /** The folder that holds the logs, and what may still be written there. Throws StorageError. */
  storage(): Promise<{ dir: string; freeBytes: number }>
  /** Every log, for a backup. Topics that are deleted meanwhile keep their files until all are released. */
  hold(): HeldLog[]
  onTopicDeleted(listener: (topic: Topic) => void): () => void
  close(): Promise<void>
}
