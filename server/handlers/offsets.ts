/**
 * ListOffsets 1-11, OffsetForLeaderEpoch 2-4, DeleteRecords 0-2.
 *
 * ListOffsets timestamps: -1 the end that readers may reach, -2 the start, -3 the record with the largest timestamp, -4
 * as -2 (all of a log is local), -5 and -6 nothing (there is no tiered storage), else the first record not older. With
 * isolation level 1 the end is the last stable offset, and what lies at or above it is not found.
 */
import { ErrorCode, KafkaError } from '../../protocol/errors.ts'
import { IsolationLevel } from '../../protocol/messages/offset-protocol.ts'
import { deleteRecords, listOffsets, offsetForLeaderEpoch } from '../../protocol/messages/offsets.ts'
import type { Operation } from '../authorizer.ts'
import { damageCode } from '../damage.ts'
import { entry, type RequestContext } from '../handler.ts'
import { isDeleted } from '../log/log-config.ts'
import type { PartitionLog } from '../log/partition-log.ts'
import { asKafkaError } from './error-fields.ts'
import { leaderEpochError } from './fetch.ts'

const LATEST = -1
const EARLIEST = -2
const MAX_TIMESTAMP = -3
const EARLIEST_LOCAL = -4
const UP_TO_HIGH_WATERMARK = -1

export const listOffsetsHandler = entry(listOffsets, 'each', async (request, context) => ({
  topics: await inTurn(request.topics, async ({ name, partitions }) => ({
    name,
    partitions: await inTurn(partitions, async ({ partitionIndex, currentLeaderEpoch, timestamp }) => {
      const found = await guarded(context, 'describe', name, partitionIndex, async (log) => {
        const epochError = leaderEpochError(log, currentLeaderEpoch)
        return epochError
          ? { errorCode: epochError }
          : { errorCode: 0, ...(await offsetAt(log, timestamp, isCommitted(request))) }
      })
      return { partitionIndex, ...found }
    }),
  })),
}))

const isCommitted = ({ isolationLevel }: { isolationLevel: number }): boolean =>
  isolationLevel !== IsolationLevel.readUncommitted

async function offsetAt(
  log: PartitionLog,
  timestamp: number,
  isCommitted: boolean,
): Promise<{ offset?: number; timestamp?: number; leaderEpoch?: number }> {
  const { leaderEpoch } = log
  const end = () => knownEnd(log, isCommitted ? log.lastStableOffset : log.highWatermark, isCommitted)
  if (timestamp === LATEST) return { offset: end(), leaderEpoch }
  if (timestamp === EARLIEST || timestamp === EARLIEST_LOCAL) return { offset: log.startOffset, leaderEpoch }
  const found =
    timestamp === MAX_TIMESTAMP
      ? await log.maxTimestampOffset()
      : timestamp >= 0
        ? await log.offsetForTimestamp(timestamp)
        : undefined
  if (!found || timestamp === MAX_TIMESTAMP) end()
  const isReadable = found && (!isCommitted || found.offset < log.lastStableOffset)
  return isReadable ? { offset: found.offset, timestamp: found.timestamp, leaderEpoch } : {}
}

/** `offset`, unless the log is damaged before it: an end that is a guess is no answer. */
function knownEnd(log: PartitionLog, offset: number, isCommitted = false): number {
  if (damageCode(log, offset, isCommitted) === ErrorCode.NONE) return offset
  throw new KafkaError('KAFKA_STORAGE_ERROR', log.fault?.message ?? 'damaged')
}

export const offsetForLeaderEpochHandler = entry(offsetForLeaderEpoch, 'each', async (request, context) => ({
  topics: await inTurn(request.topics, async ({ topic, partitions }) => ({
    topic,
    partitions: await inTurn(partitions, async ({ partition, currentLeaderEpoch, leaderEpoch }) => {
      const found = await guarded(context, 'describe', topic, partition, async (log) => {
        const epochError = leaderEpochError(log, currentLeaderEpoch)
        if (epochError) return { errorCode: epochError }
        // An epoch of the future has no end yet.
        if (leaderEpoch > log.leaderEpoch) return { errorCode: 0 }
        const { epoch, endOffset } = log.endOffsetForEpoch(leaderEpoch)
        return { errorCode: 0, leaderEpoch: epoch, endOffset: knownEnd(log, endOffset) }
      })
      return { partition, ...found }
    }),
  })),
}))

export const deleteRecordsHandler = entry(deleteRecords, 'each', async (request, context) => ({
  topics: await inTurn(request.topics, async ({ name, partitions }) => ({
    name,
    partitions: await inTurn(partitions, async ({ partitionIndex, offset }) => {
      const done = await guarded(context, 'delete', name, partitionIndex, async (log) => {
        const policy = context.services.engine.topicByName(name)?.config.cleanupPolicy
        // As Kafka does: of a topic that is only compacted the newest record of each key is never deleted.
        if (policy && !isDeleted(policy)) return { errorCode: ErrorCode.POLICY_VIOLATION }
        const before = offset === UP_TO_HIGH_WATERMARK ? log.highWatermark : offset
        await log.deleteRecordsBefore(before)
        return { errorCode: 0, lowWatermark: log.startOffset }
      })
      return { partitionIndex, lowWatermark: -1, ...done }
    }),
  })),
}))

/** One after another: a request may name a hundred thousand partitions, and looking into one takes a buffer. */
async function inTurn<T, R>(items: readonly T[], answer: (item: T) => Promise<R>): Promise<R[]> {
  const answers: R[] = []
  for (const item of items) answers.push(await answer(item))
  return answers
}

/** Finds the log, asks the authorizer, and turns what is thrown into an error code. */
async function guarded<T extends { errorCode: number }>(
  context: RequestContext,
  operation: Operation,
  topicName: string,
  partition: number,
  act: (log: PartitionLog) => Promise<T>,
): Promise<T | { errorCode: number }> {
  if (!context.allows(operation, { type: 'topic', name: topicName }))
    return { errorCode: ErrorCode.TOPIC_AUTHORIZATION_FAILED }
  const log = context.services.engine.topicByName(topicName)?.partitions[partition]
  if (!log) return { errorCode: ErrorCode.UNKNOWN_TOPIC_OR_PARTITION }
  try {
    return await act(log)
  } catch (error) {
    const { code } = asKafkaError(error)
    // The topic was deleted while its log was being read.
    const isGone = context.services.engine.topicByName(topicName)?.partitions[partition] !== log
    return { errorCode: isGone ? ErrorCode.UNKNOWN_TOPIC_OR_PARTITION : code }
  }
}
