/**
 * ConsumerGroupHeartbeat 0-1, ConsumerGroupDescribe 0-1: groups of the next protocol (KIP-848).
 *
 * A heartbeat is all a member sends: it joins, says what it wants and has, hears what to read, and leaves. It is answered
 * when what it changed is on disk.
 */

import type { RequestOf, ResponseInputOf } from '../../protocol/api.ts'
import { ErrorCode, KafkaError } from '../../protocol/errors.ts'
import {
  consumerGroupDescribe,
  consumerGroupHeartbeat,
  JOIN_EPOCH,
  LEAVE_EPOCH,
  STATIC_LEAVE_EPOCH,
} from '../../protocol/messages/consumer-groups.ts'
import type { ConsumerGroup, HeartbeatReply } from '../coordinator/consumer/consumer-group.ts'
import { listsOf, partitionsOf } from '../coordinator/consumer/partitions.ts'
import { entry, type RequestContext } from '../handler.ts'
import { checkGroupAccess } from './group-access.ts'
import { describeGroups, hasHidden, sizeOfDescribed, TopicNames } from './group-descriptions.ts'

type HeartbeatRequest = RequestOf<typeof consumerGroupHeartbeat>
type HeartbeatResponse = ResponseInputOf<typeof consumerGroupHeartbeat>

/** From here on a member makes up its id itself. */
const OWN_ID_FROM = 1
const MemberType = { classic: 0, consumer: 1 } as const

export const consumerGroupHeartbeatHandler = entry(consumerGroupHeartbeat, 'each', async (request, context) => {
  try {
    checkAccess(request, context)
    checkHeartbeat(request, context)
    return heartbeatResponse(await carryOut(request, context))
  } catch (error) {
    if (!(error instanceof KafkaError)) throw error
    return refusal(error)
  }
})

function carryOut(request: HeartbeatRequest, context: RequestContext): Promise<HeartbeatReply> {
  const { groupId, memberId, memberEpoch, instanceId, rackId, rebalanceTimeoutMs } = request
  const { groups } = context.services
  if (memberEpoch < JOIN_EPOCH) return groups.consumerLeave(groupId, { memberId, memberEpoch, instanceId })
  return groups.consumerHeartbeat(
    groupId,
    {
      ...{ memberId, memberEpoch, instanceId, rackId },
      clientId: context.clientId ?? '',
      clientHost: `/${context.connection.remoteAddress}`,
      rebalanceTimeoutMs: rebalanceTimeoutMs < 0 ? null : rebalanceTimeoutMs,
      subscribedNames: request.subscribedTopicNames,
      subscribedRegex: request.subscribedTopicRegex,
      serverAssignor: request.serverAssignor,
      owned: request.topicPartitions && partitionsOf(request.topicPartitions),
    },
    (name) => context.allows('describe', { type: 'topic', name }),
  )
}

function checkAccess({ groupId, subscribedTopicNames }: HeartbeatRequest, context: RequestContext): void {
  if (groupId.trim() === '') throw invalid('a group has a name')
  checkGroupAccess(context, 'read', groupId)
  const hidden = subscribedTopicNames?.find((name) => !context.allows('describe', { type: 'topic', name }))
  if (hidden !== undefined) throw new KafkaError('TOPIC_AUTHORIZATION_FAILED', `topic ${hidden} may not be read`)
}

function checkHeartbeat(request: HeartbeatRequest, { apiVersion, services }: RequestContext): void {
  const { memberId, memberEpoch, instanceId, rackId, serverAssignor } = request
  if (instanceId?.trim() === '') throw invalid('an instance id is not empty')
  if (rackId?.trim() === '') throw invalid('a rack id is not empty')
  if (memberId === '' && (memberEpoch !== JOIN_EPOCH || apiVersion >= OWN_ID_FROM)) throw invalid('a member has an id')
  if (memberEpoch === JOIN_EPOCH) checkJoin(request)
  if (memberEpoch === STATIC_LEAVE_EPOCH && instanceId === null)
    throw invalid('only a static member leaves for a while')
  if (memberEpoch < STATIC_LEAVE_EPOCH) throw invalid(`${memberEpoch} is no member epoch; ${LEAVE_EPOCH} leaves`)
  const assignors: readonly string[] = services.config.groupConsumerAssignors
  if (serverAssignor !== null && !assignors.includes(serverAssignor))
    throw new KafkaError(
      'UNSUPPORTED_ASSIGNOR',
      `assignor ${serverAssignor} is not served; ${assignors.join(', ')} are`,
    )
}

function checkJoin(request: HeartbeatRequest): void {
  if (request.rebalanceTimeoutMs < 0) throw invalid('who joins says its rebalance timeout')
  if (request.topicPartitions?.length !== 0) throw invalid('who joins has no partitions, and says so')
  if (request.subscribedTopicNames === null && request.subscribedTopicRegex === null)
    throw invalid('who joins says what it subscribes to')
}

const invalid = (message: string) => new KafkaError('INVALID_REQUEST', message)

function heartbeatResponse({ assignment, ...reply }: HeartbeatReply): HeartbeatResponse {
  return {
    ...reply,
    errorCode: ErrorCode.NONE,
    errorMessage: null,
    assignment: assignment && { topicPartitions: listsOf(assignment) },
  }
}

function refusal({ code, message }: KafkaError): HeartbeatResponse {
  const rest = { memberId: null, memberEpoch: 0, heartbeatIntervalMs: 0, assignment: null }
  return { errorCode: code, errorMessage: message, ...rest }
}

// --- describe ------------------------------------------------------------------------------------------------------

type Described = ResponseInputOf<typeof consumerGroupDescribe>['groups'][number]

export const consumerGroupDescribeHandler = entry(consumerGroupDescribe, 'each', (request, context) => ({
  groups: describeGroups(request, context, { describe: describeOne, undescribed, sizeOf: sizeOfDescribed }),
}))

function describeOne(groupId: string, context: RequestContext): Described {
  const machine = context.services.groups.group(groupId)?.machine
  if (machine?.type === 'consumer') return describe(machine, context)
  return undescribed(groupId, ErrorCode.GROUP_ID_NOT_FOUND, `there is no group ${groupId} of the next protocol`)
}

function describe(group: ConsumerGroup, context: RequestContext): Described {
  const { groupId } = group
  const { names, named } = new TopicNames(context)
  const members = [...group.members].map(({ memberId, profile, standing, target }) => {
    for (const name of profile.subscribedNames) names.add(name)
    const { instanceId, rackId, clientId, clientHost, subscribedNames, subscribedRegex } = profile
    return {
      ...{ memberId, instanceId, rackId, clientId, clientHost },
      memberEpoch: standing.epoch,
      subscribedTopicNames: subscribedNames,
      subscribedTopicRegex: subscribedRegex ?? '',
      assignment: named(standing.assigned),
      targetAssignment: named(target),
      memberType: profile.classic ? MemberType.classic : MemberType.consumer,
    }
  })
  if (hasHidden(names, context))
    return undescribed(groupId, ErrorCode.TOPIC_AUTHORIZATION_FAILED, 'members read topics that may not be described')
  return {
    ...{ errorCode: ErrorCode.NONE, errorMessage: null, groupId, members },
    groupState: group.phase,
    groupEpoch: group.epoch,
    assignmentEpoch: group.assignmentEpoch,
    assignorName: group.assignorName,
  }
}

function undescribed(groupId: string, errorCode: number, errorMessage: string | null): Described {
  const rest = { groupState: '', groupEpoch: 0, assignmentEpoch: 0, assignorName: '', members: [] }
  return { errorCode, errorMessage, groupId, ...rest }
}
