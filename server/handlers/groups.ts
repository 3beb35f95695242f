/**
 * JoinGroup 0-9, SyncGroup 0-5, Heartbeat 0-4, LeaveGroup 0-5: membership in classic groups.
 *
 * A join or a sync may wait for other members for as long as the longest rebalance timeout. Meanwhile later requests of
 * its connection are carried out, but answered after it. When the connection ends, nobody is answered; the member stays
 * until its session is over.
 */
import { ErrorCode, KafkaError } from '../../protocol/errors.ts'
import { heartbeat, joinGroup, leaveGroup, syncGroup } from '../../protocol/messages/groups.ts'
import { joinRefusal, syncRefusal } from '../coordinator/group-state.ts'
import { entry, type RequestContext } from '../handler.ts'
import { groupError } from './group-access.ts'

const MEMBER_ID_REQUIRED_FROM = 4
const PROTOCOL_NAME_NULLABLE_FROM = 7
const SKIP_ASSIGNMENT_FROM = 9
const PROTOCOL_IN_SYNC_FROM = 5
const LEAVERS_FROM = 3

export const joinGroupHandler = entry(joinGroup, 'each', async (request, context) => {
  const { groupId, memberId, sessionTimeoutMs, rebalanceTimeoutMs } = request
  const { apiVersion } = context
  const errorCode = groupError(context, 'read', groupId)
  const reply =
    errorCode === ErrorCode.NONE
      ? await context.services.groups.join(
          groupId,
          {
            memberId,
            groupInstanceId: request.groupInstanceId,
            ...clientOf(context),
            sessionTimeoutMs,
            // Version 0 has only one timeout.
            rebalanceTimeoutMs: rebalanceTimeoutMs < 0 ? sessionTimeoutMs : rebalanceTimeoutMs,
            protocolType: request.protocolType,
            // Copies: what is kept must not keep the whole request alive.
            protocols: request.protocols.map(({ name, metadata }) => ({ name, metadata: metadata.slice() })),
            mustKnowItsId: apiVersion >= MEMBER_ID_REQUIRED_FROM,
            canSkipAssignment: apiVersion >= SKIP_ASSIGNMENT_FROM,
          },
          onceClosed(context),
        )
      : joinRefusal(memberId, errorCode)
  const protocolName = reply.protocolName ?? (apiVersion < PROTOCOL_NAME_NULLABLE_FROM ? '' : null)
  return { ...reply, memberId: reply.memberId || memberId, protocolName }
})

function clientOf({ clientId, connection }: RequestContext) {
  return { clientId: clientId ?? '', clientHost: `/${connection.remoteAddress}` }
}

const onceClosed = (context: RequestContext) => (listener: () => void) => context.connection.onceClosed(listener)

export const syncGroupHandler = entry(syncGroup, 'each', async (request, context) => {
  const { groupId, memberId, groupInstanceId, generationId } = request
  const errorCode = groupError(context, 'read', groupId)
  if (errorCode !== ErrorCode.NONE) return syncRefusal(errorCode)
  const saysProtocol = context.apiVersion >= PROTOCOL_IN_SYNC_FROM
  if (saysProtocol && (request.protocolType === null || request.protocolName === null))
    return syncRefusal(ErrorCode.INCONSISTENT_GROUP_PROTOCOL)
  return context.services.groups.sync(
    groupId,
    {
      ...{ memberId, groupInstanceId, generationId },
      protocolType: saysProtocol ? request.protocolType : null,
      protocolName: saysProtocol ? request.protocolName : null,
      assignments: request.assignments.map(({ memberId: to, assignment }) => ({
        memberId: to,
        assignment: assignment.slice(),
      })),
    },
    onceClosed(context),
  )
})

export const heartbeatHandler = entry(heartbeat, 'each', (request, context) => {
  const { groupId, memberId, groupInstanceId, generationId } = request
  const errorCode = groupError(context, 'read', groupId)
  if (errorCode !== ErrorCode.NONE) return { errorCode }
  return { errorCode: context.services.groups.heartbeat(groupId, { memberId, groupInstanceId, generationId }) }
})

export const leaveGroupHandler = entry(leaveGroup, 'each', (request, context) => {
  const { groupId, memberId } = request
  const namesMany = context.apiVersion >= LEAVERS_FROM
  const leavers = namesMany ? request.members : [{ memberId, groupInstanceId: null }]
  const refused = (errorCode: number) => ({ errorCode, members: [] })
  const errorCode = groupError(context, 'read', groupId)
  if (errorCode !== ErrorCode.NONE) return refused(errorCode)
  try {
    const errorCodes = context.services.groups.leave(groupId, leavers)
    if (!namesMany) return refused(errorCodes[0]!)
    const members = leavers.map((leaver, index) => ({
      memberId: leaver.memberId,
      groupInstanceId: leaver.groupInstanceId,
      errorCode: errorCodes[index]!,
    }))
    return { errorCode, members }
  } catch (error) {
    if (!(error instanceof KafkaError)) throw error
    // In a group that is not there nobody is a member: for each to hear who can be told apart.
    if (!namesMany || error.code !== ErrorCode.UNKNOWN_MEMBER_ID) return refused(error.code)
    return { errorCode: ErrorCode.NONE, members: leavers.map((leaver) => ({ ...leaver, errorCode: error.code })) }
  }
})
