/** What a group and a consumer in it can be told. Types only. */
import type { OnMissingOffset } from '../consumer/source.ts'
import type { TopicRecord } from '../record.ts'
import type { Serde } from '../serde.ts'
import type { Assignor } from './assignor.ts'
import type { RetryOptions } from './retry-policy.ts'
import type { TopicPartition } from './topic-partition.ts'

export interface GroupOptions {
  /**
   * 'consumer' (KIP-848): the relay divides, and a member that freezes holds up nothing but its own partitions. 'classic': a
   * member divides. Members of both can be in one group. Default: 'consumer', unless an option below belongs to 'classic' or
   * the relay, or the group, does not have it.
   */
  groupProtocol?: 'consumer' | 'classic'
  /** Of the consumer protocol: 'uniform' or 'range'. Default: what most members ask for, else the relay's first. */
  serverAssignor?: string
  /**
   * Of the classic protocol: how partitions are divided, in the order of preference; a group uses what all its members
   * know. Default: 'cooperative-sticky', which Java's and librdkafka's consumers know too. Others: 'range', 'roundrobin',
   * 'RoundRobinAssigner' (kafkajs), or one of the application's own.
   */
  assignors?: ReadonlyArray<'cooperative-sticky' | 'range' | 'roundrobin' | 'RoundRobinAssigner' | Assignor>
  /** A static member: the next process of that name takes its place and its partitions without a rebalance. */
  groupInstanceId?: string
  /**
   * Of the classic protocol: silence after which the group gives the partitions of this member to others. Default 30 s. In
   * the other the group has a setting for that, `consumer.session.timeout.ms` (the relay's default: 45 s).
   */
  sessionTimeoutMs?: number
  /** How long a member may take to finish what it works on when partitions move. Default 60 s. */
  rebalanceTimeoutMs?: number
  /** Of the classic protocol; in the other the relay says when. Default 3 s. */
  heartbeatMs?: number
  /** Of the classic protocol: how often the member that divides looks for new topics and partitions. Default 30 s. */
  metadataEveryMs?: number
}

/** Where a partition begins for which the group has committed nothing. That place is committed at once. */
export type GroupStart = 'beginning' | 'end' | { timestamp: number } | 'fail'

export interface GroupReadOptions {
  /** Default 'end'; partitions that are added later begin at their start then. 'fail': an error, OFFSET_OUT_OF_RANGE. */
  from?: GroupStart
  /** When the committed offset is gone. Default 'earliest'; told by `onGap` and on the next record. */
  onMissingOffset?: OnMissingOffset
  /** 'committed' (default) leaves out aborted transactions and waits for open ones. */
  isolation?: 'committed' | 'uncommitted'
  /** 'auto' (default): what is done is committed by itself. 'manual': when `commit` says so. */
  commit?: 'auto' | 'manual'
  /** Least time between two commits under load. Default 200 ms. */
  commitEveryMs?: number
  /** Committed with each offset, for whoever looks at the group. */
  metadata?: string | ((at: TopicPartition) => string)
  /** What happens when a handler fails. Default: the consumer ends with the error. */
  retry?: RetryOptions
  /** Where dead letters go. Default: `TOPIC.GROUP.dlq`. */
  deadLetterTopic?: string | ((topic: string) => string)
  /** Bytes that may wait for the application, for each partition. Default 1 MiB. */
  bufferBytesMax?: number
  /** Leaves the group; `each` and iterations end with ABORTED. */
  signal?: AbortSignal
}

/** A topic's name and how its records are decoded; a `Topic` is one. */
export interface ReadableTopic<K, V> {
  readonly name: string
  readonly key: Serde<K>
  readonly value: Serde<V>
}

/**
 * All topics whose names match as a whole, those made later too, as far as this client may read them. The expression is in
 * the syntax of RE2, and the relay's to match.
 */
export interface TopicPattern {
  pattern: string
}

export type KeyIn<T> = T extends ReadableTopic<infer K, unknown> ? K : never
export type ValueIn<T> = T extends ReadableTopic<unknown, infer V> ? V : never

export interface HandlerContext {
  /** Aborts when the partition is no longer this member's. */
  signal: AbortSignal
  /** From 1. */
  attempt: number
}

export type Handler<K, V> = (record: TopicRecord<K, V>, context: HandlerContext) => unknown
export type BatchHandler<K, V> = (records: TopicRecord<K, V>[], context: HandlerContext) => unknown

export interface EachOptions {
  /** Calls of the handler at a time, of different partitions. Default 1. */
  concurrency?: number
}
