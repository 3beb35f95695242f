/**
 * Produce, versions 3-13.
 *
 * A batch is stored as it arrived; only base offset and leader epoch are rewritten, both outside its checksum. All
 * partitions of a request are appended in the turn in which it is read, so pipelined requests keep their order; the
 * answer waits until the last of them is on disk. acks=1 therefore promises as much as acks=all. acks=0 gets no answer.
 *
 * Whether a batch may be written in a transaction, or outside of one, is for transactional-writes.ts to say. Batches for
 * compacted topics are looked into first (compacted-keys.ts).
 */
import type { RequestOf } from '../../protocol/api.ts'
import { ErrorCode, errorName, KafkaError } from '../../protocol/errors.ts'
import { CloseCode } from '../../protocol/messages/offset-protocol.ts'
import { FSYNC, produce, RELAXED } from '../../protocol/messages/produce.ts'
import type { TopicPartition } from '../coordinator/offsets.ts'
import type { Topic } from '../engine.ts'
import { entry, NO_REPLY, type RequestContext } from '../handler.ts'
import { isCompacted } from '../log/log-config.ts'
import type { PartitionLog } from '../log/partition-log.ts'
import { errorFields } from './error-fields.ts'
import { findTopicFor } from './find-topic.ts'
import { type Admission, admit, previousTransaction } from './transactional-writes.ts'

interface Appended {
  index: number
  errorCode: number
  baseOffset: number
  logAppendTimeMs: number
  logStartOffset: number
  errorMessage: string | null
  durability?: number
}

export const produceHandler = entry(
  produce,
  'each',
  async (request, context) => {
    if (![-1, 0, 1].includes(request.acks)) {
      return { responses: refuseAll(request, ErrorCode.INVALID_REQUIRED_ACKS, `acks ${request.acks}: use -1, 0 or 1`) }
    }
    const inspecting = context.services.keys.inspect(context.connection, forCompactedTopics(request.topicData, context))
    const verdicts = inspecting && (await inspecting)
    const { transactionalId } = request
    const unsettled = previousTransaction(context, transactionalId)
    if (unsettled) await unsettled
    const targets = request.topicData.flatMap(({ name, topicId, partitionData }) => {
      const topic = findTopicFor('write', context, { name, topicId, byId: context.apiVersion >= 13 })
      return partitionData.map(({ index, records }) => targetOf(context, topic, index, records, verdicts))
    })
    const writes = targets.filter((target) => 'log' in target)
    const admissions = admit(context, transactionalId, writes)
    const appended = targets.map((target) =>
      'log' in target ? append(target, admissions.get(target), context) : target,
    )
    let next = 0
    const pending = request.topicData.map(({ name, topicId, partitionData }) => ({
      ...{ name, topicId },
      partitions: partitionData.map(() => appended[next++]!),
    }))
    const responses = await Promise.all(
      pending.map(async (topic) => ({ ...topic, partitionResponses: await Promise.all(topic.partitions) })),
    )
    if (request.acks !== 0) return { responses }
    // Without an answer, closing is the only way to say that something was not stored.
    const failure = responses.flatMap((topic) => topic.partitionResponses).find(({ errorCode }) => errorCode !== 0)
    if (failure) {
      const reason = `acks=0, and ${errorName(failure.errorCode)}: ${failure.errorMessage ?? 'not stored'}`
      context.services.logger.warn('produce without acks failed', { remote: context.connection.remoteAddress, reason })
      context.connection.close(CloseCode.internalError, reason)
    }
    return NO_REPLY
  },
  // Older librdkafka looks for version 0 and else sends its batches uncompressed (KAFKA-18659).
  { advertisedMinVersion: 0 },
)

/** Of what the sender may write. */
function forCompactedTopics(topicData: RequestOf<typeof produce>['topicData'], context: RequestContext): Uint8Array[] {
  return topicData.flatMap(({ name, topicId, partitionData }) => {
    const topic = findTopicFor('write', context, { name, topicId, byId: context.apiVersion >= 13 })
    if (typeof topic === 'number' || !isCompacted(topic.config.cleanupPolicy)) return []
    return partitionData.flatMap(({ records }) => records ?? [])
  })
}

interface Target {
  index: number
  at: TopicPartition
  log: PartitionLog
  batch: Uint8Array
}

/** Where the batch would go, or why it goes nowhere. */
function targetOf(
  context: RequestContext,
  topic: Topic | number,
  index: number,
  records: Uint8Array | null,
  verdicts: ReadonlyMap<Uint8Array, KafkaError | undefined> | undefined,
): Target | Appended {
  if (typeof topic === 'number')
    return refused(index, topic, topic === ErrorCode.TOPIC_AUTHORIZATION_FAILED ? 'not allowed to write there' : null)
  const log = topic.partitions[index]
  if (!log)
    return refused(
      index,
      ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
      `${topic.name} has ${topic.partitions.length} partitions`,
    )
  if (!records) return refused(index, ErrorCode.INVALID_RECORD, 'no record batch')
  const keyless = isCompacted(topic.config.cleanupPolicy)
    ? (verdicts?.get(records) ?? context.services.keys.verdictNow(records))
    : undefined
  if (keyless) return failed(index, keyless, log)
  return { index, at: { topicId: topic.id, partition: index }, log, batch: records }
}

/** Appends in this very turn; only the wait for the disk is asynchronous. */
function append(
  { index, log, batch }: Target,
  admission: Admission | undefined,
  { connection }: RequestContext,
): Appended | Promise<Appended> {
  try {
    if (admission instanceof KafkaError) throw admission
    const { baseOffset, logAppendTimeMs, durable, durability: level } = log.append(batch)
    const durability = level === 'relaxed' && connection.isOttla ? RELAXED : FSYNC
    const stored = admission ? Promise.all([durable, admission]) : durable
    return stored.then(
      () => ({
        ...{ index, errorCode: 0, baseOffset, logAppendTimeMs, logStartOffset: log.startOffset },
        ...{ errorMessage: null, durability },
      }),
      (error: unknown) => failed(index, error, log),
    )
  } catch (error) {
    return failed(index, error, log)
  }
}

/** Refused before the log had a say, as far as Kafka tells: these answers do not say where the log starts. */
const WITHOUT_LOG_START: ReadonlySet<number> = new Set([
  ErrorCode.CORRUPT_MESSAGE,
  ErrorCode.MESSAGE_TOO_LARGE,
  ErrorCode.KAFKA_STORAGE_ERROR,
])

function failed(index: number, error: unknown, log: PartitionLog): Appended {
  const { errorCode, errorMessage } = errorFields(error)
  const logStartOffset = WITHOUT_LOG_START.has(errorCode) ? -1 : log.startOffset
  return { ...refused(index, errorCode, errorMessage), logStartOffset }
}

function refused(index: number, errorCode: number, errorMessage: string | null): Appended {
  return { index, errorCode, baseOffset: -1, logAppendTimeMs: -1, logStartOffset: -1, errorMessage }
}

function refuseAll(
  request: {
    topicData: ReadonlyArray<{ name: string; topicId: string; partitionData: ReadonlyArray<{ index: number }> }>
  },
  errorCode: number,
  message: string,
) {
  return request.topicData.map(({ name, topicId, partitionData }) => ({
    name,
    topicId,
    partitionResponses: partitionData.map(({ index }) => refused(index, errorCode, message)),
  }))
}
