/**
 * ShareAcknowledge, versions 1-2: what became of records that a member of a share group was handed.
 *
 * Answered when that is on disk; each partition for itself, all of its batches or none. The same comes in ShareFetch.
 */
import type { RequestOf, ResponseInputOf } from '../../protocol/api.ts'
import { ErrorCode, KafkaError } from '../../protocol/errors.ts'
import { CLOSE_SESSION, OPEN_SESSION, shareAcknowledge } from '../../protocol/messages/share-fetch.ts'
import { entry, type RequestContext } from '../handler.ts'
import type { SessionKey } from '../share-sessions.ts'
import { errorFields } from './error-fields.ts'
import { findTopic } from './find-topic.ts'
import { checkGroupAccess } from './group-access.ts'

type Request = RequestOf<typeof shareAcknowledge>
type Response = ResponseInputOf<typeof shareAcknowledge>
type AskedTopic = Request['topics'][number]

export const shareAcknowledgeHandler = entry(shareAcknowledge, 'each', async (request, context) => {
  try {
    return await acknowledge(request, context)
  } catch (error) {
    return { ...errorFields(error), acquisitionLockTimeoutMs: 0, responses: [], nodeEndpoints: [] }
  }
})

async function acknowledge(request: Request, context: RequestContext): Promise<Response> {
  const key = checkMember(request, context)
  const { shareSessions, groups } = context.services
  const { lockMs } = groups.deliveries.configOf(key.groupId)
  const { shareSessionEpoch: epoch } = request
  if (epoch === OPEN_SESSION) throw new KafkaError('INVALID_SHARE_SESSION_EPOCH', 'a session is opened by fetching')
  const isLast = epoch === CLOSE_SESSION
  const session = isLast ? shareSessions.existing(key) : shareSessions.goOn(key, epoch)
  const results = acknowledgeAll(key, request, context)
  if (isLast) shareSessions.close(session)
  const topics = new Map<string, Response['responses'][number]['partitions'][number][]>()
  for (const { topicId, partition, errorCode, errorMessage } of await results) {
    const partitions = topics.get(topicId) ?? []
    topics.set(topicId, partitions)
    partitions.push({ partitionIndex: partition, errorCode, errorMessage, currentLeader: {} })
  }
  const responses = [...topics].map(([topicId, partitions]) => ({ topicId, partitions }))
  return {
    errorCode: ErrorCode.NONE,
    errorMessage: null,
    acquisitionLockTimeoutMs: lockMs,
    responses,
    nodeEndpoints: [],
  }
}

/** Throws KafkaError unless the request may be that of a member of this group. */
export function checkMember(
  { groupId, memberId }: { groupId: string | null; memberId: string | null },
  context: RequestContext,
): SessionKey {
  if (groupId === null) throw new KafkaError('INVALID_REQUEST', 'a member is of a group')
  checkGroupAccess(context, 'read', groupId)
  if (!memberId) throw new KafkaError('INVALID_REQUEST', 'a member has an id')
  return { groupId, memberId }
}

export interface AcknowledgeResult {
  topicId: string
  partition: number
  errorCode: number
  errorMessage: string | null
}

/** One result for each partition that says something; what can be refused at once is, and the rest is begun in this turn. */
export function acknowledgeAll(
  key: SessionKey,
  { topics, isRenewAck }: { topics: readonly AskedTopic[]; isRenewAck: boolean },
  context: RequestContext,
): Promise<AcknowledgeResult[]> {
  const results = topics.flatMap(({ topicId, partitions }) =>
    partitions
      .filter(({ acknowledgementBatches }) => acknowledgementBatches.length > 0)
      .map(async ({ partitionIndex: partition, acknowledgementBatches: batches }): Promise<AcknowledgeResult> => {
        try {
          const at = readablePartition(topicId, partition, context)
          const said = { batches, isRenewing: isRenewAck }
          await context.services.groups.deliveries.acknowledge(key.groupId, at, key.memberId, said)
          return { ...at, errorCode: ErrorCode.NONE, errorMessage: null }
        } catch (error) {
          return { topicId, partition, ...errorFields(error) }
        }
      }),
  )
  return Promise.all(results)
}

/** Throws KafkaError when there is none, or the client may not read it. */
export function readablePartition(topicId: string, partition: number, context: RequestContext) {
  const topic = findTopic(context, { name: '', topicId, byId: true })
  if (typeof topic === 'number') throw new KafkaError(topic, 'there is no such topic')
  if (!context.allows('read', { type: 'topic', name: topic.name }))
    throw new KafkaError('TOPIC_AUTHORIZATION_FAILED', `topic ${topic.name} may not be read`)
  const log = topic.partitions[partition]
  if (!log) throw new KafkaError('UNKNOWN_TOPIC_OR_PARTITION', `${topic.name} has no partition ${partition}`)
  return { topicId, partition, log }
}
