/**
 * ShareGroupHeartbeat 1, ShareGroupDescribe 1: groups whose members share partitions (KIP-932).
 *
 * A heartbeat joins, says what the member reads, hears what to fetch from, and leaves. It is answered when what it changed is
 * on disk. What members fetch, and say became of it, is in share-fetch.ts.
 */
import type { RequestOf, ResponseInputOf } from '../../protocol/api.ts'
import { ErrorCode, KafkaError } from '../../protocol/errors.ts'
import { JOIN_EPOCH, LEAVE_EPOCH } from '../../protocol/messages/consumer-groups.ts'
import { shareGroupDescribe, shareGroupHeartbeat } from '../../protocol/messages/share-groups.ts'
import type { HeartbeatReply } from '../coordinator/consumer/consumer-group.ts'
import { listsOf } from '../coordinator/consumer/partitions.ts'
import { type ShareGroup, SIMPLE_ASSIGNOR } from '../coordinator/share/share-group.ts'
import { entry, type RequestContext } from '../handler.ts'
import { checkGroupAccess } from './group-access.ts'
import { describeGroups, hasHidden, sizeOfDescribed, TopicNames } from './group-descriptions.ts'

/** Of a UUID, which is what clients make up. */
const MEMBER_ID_LENGTH_MAX = 36

type HeartbeatRequest = RequestOf<typeof shareGroupHeartbeat>
type HeartbeatResponse = ResponseInputOf<typeof shareGroupHeartbeat>

export const shareGroupHeartbeatHandler = entry(shareGroupHeartbeat, 'each', async (request, context) => {
  try {
    checkAccess(request, context)
    checkHeartbeat(request)
    return heartbeatResponse(await carryOut(request, context))
  } catch (error) {
    if (!(error instanceof KafkaError)) throw error
    return refusal(error)
  }
})

async function carryOut(request: HeartbeatRequest, context: RequestContext): Promise<HeartbeatReply> {
  const { groupId, memberId, memberEpoch, rackId, subscribedTopicNames: subscribedNames } = request
  const { groups } = context.services
  if (memberEpoch === LEAVE_EPOCH) {
    await groups.shareLeave(groupId, memberId)
    return { memberId, memberEpoch, heartbeatIntervalMs: 0, assignment: null }
  }
  return groups.shareHeartbeat(groupId, {
    ...{ memberId, memberEpoch, rackId, subscribedNames },
    clientId: context.clientId ?? '',
    clientHost: `/${context.connection.remoteAddress}`,
  })
}

function checkAccess({ groupId, subscribedTopicNames }: HeartbeatRequest, context: RequestContext): void {
  if (groupId.trim() === '') throw invalid('a group has a name')
  checkGroupAccess(context, 'read', groupId)
  const hidden = subscribedTopicNames?.find((name) => !context.allows('describe', { type: 'topic', name }))
  if (hidden !== undefined) throw new KafkaError('TOPIC_AUTHORIZATION_FAILED', `topic ${hidden} may not be read`)
}

function checkHeartbeat({ memberId, memberEpoch, rackId, subscribedTopicNames }: HeartbeatRequest): void {
  if (memberId.trim() === '') throw invalid('a member has an id')
  if (memberId.length > MEMBER_ID_LENGTH_MAX)
    throw invalid(`a member's id has ${MEMBER_ID_LENGTH_MAX} characters at most`)
  if (rackId?.trim() === '') throw invalid('a rack id is not empty')
  if (memberEpoch < LEAVE_EPOCH) throw invalid(`${memberEpoch} is no member epoch; ${LEAVE_EPOCH} leaves`)
  if (memberEpoch === JOIN_EPOCH && !subscribedTopicNames?.length) throw invalid('who joins says what it subscribes to')
}

const invalid = (message: string) => new KafkaError('INVALID_REQUEST', message)

function heartbeatResponse({ assignment, ...reply }: HeartbeatReply): HeartbeatResponse {
  return {
    ...{ ...reply, errorCode: ErrorCode.NONE, errorMessage: null },
    assignment: assignment && { topicPartitions: listsOf(assignment) },
  }
}

function refusal({ code, message }: KafkaError): HeartbeatResponse {
  const rest = { memberId: null, memberEpoch: 0, heartbeatIntervalMs: 0, assignment: null }
  return { errorCode: code, errorMessage: message, ...rest }
}

// --- describe ------------------------------------------------------------------------------------------------------

type Described = ResponseInputOf<typeof shareGroupDescribe>['groups'][number]

export const shareGroupDescribeHandler = entry(shareGroupDescribe, 'each', (request, context) => ({
  groups: describeGroups(request, context, { describe: describeOne, undescribed, sizeOf: sizeOfDescribed }),
}))

function describeOne(groupId: string, context: RequestContext): Described {
  const machine = context.services.groups.group(groupId)?.machine
  if (machine?.type === 'share') return describe(machine, context)
  return undescribed(groupId, ErrorCode.GROUP_ID_NOT_FOUND, `there is no share group ${groupId}`)
}

function describe(group: ShareGroup, context: RequestContext): Described {
  const { groupId } = group
  const { names, named } = new TopicNames(context)
  const members = [...group.members].map(({ memberId, profile, standing }) => {
    const { rackId, clientId, clientHost, subscribedNames } = profile
    for (const name of subscribedNames) names.add(name)
    return {
      ...{ memberId, rackId, clientId, clientHost },
      memberEpoch: standing.epoch,
      subscribedTopicNames: subscribedNames,
      assignment: named(standing.assigned),
    }
  })
  if (hasHidden(names, context))
    return undescribed(groupId, ErrorCode.TOPIC_AUTHORIZATION_FAILED, 'members read topics that may not be described')
  return {
    ...{ errorCode: ErrorCode.NONE, errorMessage: null, groupId, members },
    groupState: group.phase,
    groupEpoch: group.epoch,
    assignmentEpoch: group.assignmentEpoch,
    assignorName: SIMPLE_ASSIGNOR,
  }
}

function undescribed(groupId: string, errorCode: number, errorMessage: string | null): Described {
  const rest = { groupState: '', groupEpoch: 0, assignmentEpoch: 0, assignorName: '', members: [] }
  return { errorCode, errorMessage, groupId, ...rest }
}
