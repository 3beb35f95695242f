/**
 * WatchProgress, UnwatchProgress, ReportFailed, version 0: what became of records in a group (docs/PROTOCOL.md).
 *
 * A watch is answered at once with what is known; what comes after is pushed, behind the answer.
 */
import { ErrorCode, KafkaError } from '../../protocol/errors.ts'
import {
  FailedHow,
  reportFailed,
  unwatchProgress,
  type FailedRange as WireRange,
  watchProgress,
} from '../../protocol/messages/receipts.ts'
import type { FailedRange } from '../coordinator/failed-records.ts'
import type { GroupPartition, ReportedPartition } from '../coordinator/receipts.ts'
import { entry, type RequestContext } from '../handler.ts'
import { type Watch, wireProgress } from '../progress-watches.ts'
import { groupError } from './group-access.ts'

const REASON_LENGTH_MAX = 256
const TOPIC_LENGTH_MAX = 249

export const watchProgressHandler = entry(watchProgress, 'each', async (request, context) => {
  const begun: Watch[] = []
  const watches = await Promise.all(
    request.watches.map(async ({ groupId, topicId, partition, fromOffset }) => {
      const at = { groupId, topicId, partition }
      const errorCode = groupError(context, 'describe', groupId) || partitionError(context, at, 'describe')
      if (errorCode !== ErrorCode.NONE) return { ...at, errorCode }
      try {
        const watch = context.services.watches.add(context.connection, at, fromOffset)
        const state = await context.services.groups.receipts.progress(at)
        begun.push(watch)
        return { ...at, errorCode, ...wireProgress(state, fromOffset) }
      } catch (error) {
        if (!(error instanceof KafkaError)) throw error
        context.services.watches.remove(context.connection, at)
        return { ...at, errorCode: error.code }
      }
    }),
  )
  context.afterReply(() => {
    for (const watch of begun) context.services.watches.activate(watch)
  })
  return { watches }
})

export const unwatchProgressHandler = entry(unwatchProgress, 'none', (request, { services, connection }) => {
  for (const at of request.watches) services.watches.remove(connection, at)
  return { errorCode: ErrorCode.NONE }
})

export const reportFailedHandler = entry(reportFailed, 'each', async (request, context) => {
  const { groupId, memberId, groupInstanceId, generationIdOrMemberEpoch: generationId, partitions } = request
  const errorCode =
    groupError(context, 'read', groupId) ||
    partitions.reduce((code, at) => code || reportError(context, { groupId, ...at }), ErrorCode.NONE as number)
  if (errorCode !== ErrorCode.NONE) return { errorCode }
  try {
    const claim = { memberId, groupInstanceId, generationId, knowsEpochs: true }
    const reported = partitions.map(({ failed, ...at }): ReportedPartition => ({ ...at, failed: failed.map(rangeOf) }))
    await context.services.groups.reportFailed(groupId, claim, reported)
    return { errorCode }
  } catch (error) {
    if (!(error instanceof KafkaError)) throw error
    return { errorCode: error.code }
  }
})

function partitionError(context: RequestContext, at: GroupPartition, operation: 'describe' | 'read'): number {
  const topic = context.services.engine.topicById(at.topicId)
  // Ids can be guessed: a topic that may not be seen looks like one that is not there.
  if (!topic || !context.allows(operation, { type: 'topic', name: topic.name })) return ErrorCode.UNKNOWN_TOPIC_ID
  return topic.partitions[at.partition] ? ErrorCode.NONE : ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
}

function reportError(
  context: RequestContext,
  { failed, ...at }: GroupPartition & { failed: readonly WireRange[] },
): number {
  const errorCode = partitionError(context, at, 'read')
  if (errorCode !== ErrorCode.NONE) return errorCode
  const { highWatermark } = context.services.engine.topicById(at.topicId)!.partitions[at.partition]!
  const isSound = ({ from, to, reason, deadTopic }: WireRange) =>
    from >= 0 &&
    from < to &&
    to <= highWatermark &&
    reason.length <= REASON_LENGTH_MAX &&
    deadTopic.length <= TOPIC_LENGTH_MAX
  return failed.every(isSound) ? ErrorCode.NONE : ErrorCode.INVALID_REQUEST
}

function rangeOf({ from, to, how, reason, deadTopic, deadPartition, deadOffset }: WireRange): FailedRange {
  return {
    ...{ from, to, reason, how: how === FailedHow.skipped ? 'skipped' : 'dead-lettered' },
    place: deadPartition < 0 ? null : { topic: deadTopic, partition: deadPartition, offset: deadOffset },
  }
}
