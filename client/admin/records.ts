/** Where logs begin and end, what was written when, and cutting a log at its front. */
import { type AdminDriver, type AdminOptions, type AdminRun, verdict } from './driver.ts'
import type { PerEntry } from './outcomes.ts'
import { answersByPartition, byTopic, keyOf, type TopicPartition } from './topic-partitions.ts'

/** Kafka's OffsetSpec: the end, the start, the record with the largest timestamp, or the first not older than a time. */
export type OffsetSpec = 'latest' | 'earliest' | 'max-timestamp' | { timestamp: number }

export interface OffsetQuery extends TopicPartition {
  spec: OffsetSpec
}

export interface ListedOffset extends TopicPartition {
  /** -1: there is no such record. */
  offset: number
  /** -1 where the spec has none. */
  timestamp: number
  leaderEpoch: number
}

export interface ListOffsetsOptions extends AdminOptions {
  /** 'committed': only what readers of committed records may see. */
  isolation?: 'committed' | 'uncommitted'
}

export interface RecordsToDelete extends TopicPartition {
  /** Everything below goes; -1: all there is. */
  beforeOffset: number
}

export interface DeletedRecords extends TopicPartition {
  /** Where the log begins now. */
  logStart: number
}

const CONSUMER = -1
const SPECS = { latest: -1, earliest: -2, 'max-timestamp': -3 } as const

/** One query for each partition. Rejects UNKNOWN_TOPIC, NOT_AUTHORIZED, RELAY. */
export function listOffsets(
  driver: AdminDriver,
  queries: readonly OffsetQuery[],
  options: ListOffsetsOptions = {},
): PerEntry<OffsetQuery, ListedOffset> {
  return listedBy(driver.run(options), queries, options.isolation ?? 'uncommitted')
}

/** As part of another call, within its time. */
export function listedBy(
  run: AdminRun,
  queries: readonly OffsetQuery[],
  isolation: 'committed' | 'uncommitted',
): PerEntry<OffsetQuery, ListedOffset> {
  return run.each<OffsetQuery, ListedOffset>({
    entries: queries,
    where: (leader) => ({ leader }),
    doing: ({ topic, partition }) => `listing offsets of ${topic}-${partition}`,
    async ask(entries, ask) {
      const answer = await ask('ListOffsets', {
        replicaId: CONSUMER,
        isolationLevel: isolation === 'committed' ? 1 : 0,
        topics: [...byTopic(entries)].map(([name, group]) => ({
          name,
          partitions: group.map(({ partition, spec }) => ({
            partitionIndex: partition,
            timestamp: typeof spec === 'string' ? SPECS[spec] : spec.timestamp,
          })),
        })),
        timeoutMs: run.leftMs,
      })
      const found = answersByPartition(answer.topics, ({ partitionIndex }) => partitionIndex)
      return entries.map(({ topic, partition }) =>
        verdict(found.get(keyOf({ topic, partition })), ({ offset, timestamp, leaderEpoch }) => ({
          ...{ topic, partition, offset },
          ...{ timestamp, leaderEpoch },
        })),
      )
    },
  })
}

/** Irrevocable. Replicas and readers learn of it as of any other deletion. */
export function deleteRecords(
  driver: AdminDriver,
  requests: readonly RecordsToDelete[],
  options: AdminOptions = {},
): PerEntry<RecordsToDelete, DeletedRecords> {
  const run = driver.run(options)
  return run.each<RecordsToDelete, DeletedRecords>({
    entries: requests,
    where: (leader) => ({ leader }),
    doing: ({ topic, partition }) => `deleting records of ${topic}-${partition}`,
    isChange: true,
    async ask(entries, ask) {
      const topics = [...byTopic(entries)].map(([name, group]) => ({
        name,
        partitions: group.map(({ partition, beforeOffset }) => ({ partitionIndex: partition, offset: beforeOffset })),
      }))
      const answer = await ask('DeleteRecords', { topics, timeoutMs: run.leftMs })
      const found = answersByPartition(answer.topics, ({ partitionIndex }) => partitionIndex)
      return entries.map(({ topic, partition }) =>
        verdict(found.get(keyOf({ topic, partition })), ({ lowWatermark: logStart }) => ({
          ...{ topic, partition, logStart },
        })),
      )
    },
  })
}
