/** Offsets: where logs begin and end, what was written when, cutting a log at its front. */
import type { OttlaError } from '../errors.ts'
import { kafkaFailure } from '../kafka-failure.ts'
import { type AdminCall, byTopic, throwFailures } from './calls.ts'

/** Kafka's OffsetSpec: the end, the start, the record with the largest timestamp, or the first not older than a time. */
export type OffsetSpec = 'latest' | 'earliest' | 'max-timestamp' | { timestamp: number }

export interface OffsetQuery {
  topic: string
  partition: number
  spec: OffsetSpec
}

export interface ListedOffset {
  topic: string
  partition: number
  /** -1: there is no such record. */
  offset: number
  /** -1 where the spec has none. */
  timestamp: number
  leaderEpoch: number
}

export interface RecordsToDelete {
  topic: string
  partition: number
  /** Everything below goes; -1: all there is. */
  beforeOffset: number
}

const CONSUMER = -1
const SPECS = { latest: -1, earliest: -2, 'max-timestamp': -3 } as const
const TIMEOUT_MS = 30_000

/** 0 counts all records, 1 only what readers of committed records may see. */
export async function listOffsets(
  call: AdminCall,
  queries: readonly OffsetQuery[],
  isolationLevel: 0 | 1,
): Promise<ListedOffset[]> {
  const answer = await call('ListOffsets', {
    replicaId: CONSUMER,
    isolationLevel,
    topics: [...byTopic(queries)].map(([name, group]) => ({
      name,
      partitions: group.map(({ partition, spec }) => ({
        partitionIndex: partition,
        timestamp: typeof spec === 'string' ? SPECS[spec] : spec.timestamp,
      })),
    })),
  })
  const failures: OttlaError[] = []
  const listed: ListedOffset[] = []
  for (const { name, partitions } of answer.topics) {
    for (const { partitionIndex, errorCode, offset, timestamp, leaderEpoch } of partitions) {
      if (errorCode !== 0) failures.push(kafkaFailure(errorCode, `listing offsets of ${name}-${partitionIndex}`))
      else listed.push({ topic: name, partition: partitionIndex, offset, timestamp, leaderEpoch })
    }
  }
  throwFailures(failures)
  return listed
}

/** Returns the new log starts. Replicas and readers learn of it as of any other deletion. */
export async function deleteRecords(
  call: AdminCall,
  requests: readonly RecordsToDelete[],
): Promise<Array<{ topic: string; partition: number; logStart: number }>> {
  const topics = [...byTopic(requests)].map(([name, group]) => ({
    name,
    partitions: group.map(({ partition, beforeOffset }) => ({ partitionIndex: partition, offset: beforeOffset })),
  }))
  const answer = await call('DeleteRecords', { topics, timeoutMs: TIMEOUT_MS })
  const all = answer.topics.flatMap(({ name, partitions }) => partitions.map((partition) => ({ name, ...partition })))
  throwFailures(
    all
      .filter(({ errorCode }) => errorCode !== 0)
      .map(({ name, partitionIndex, errorCode }) =>
        kafkaFailure(errorCode, `deleting records of ${name}-${partitionIndex}`),
      ),
  )
  return all.map(({ name, partitionIndex, lowWatermark }) => ({
    topic: name,
    partition: partitionIndex,
    logStart: lowWatermark,
  }))
}
