/**
 * Coming and going: JoinGroup and LeaveGroup.
 *
 * A dynamic member gets an id first and joins with it (KIP-394), so that a client that retries does not fill the group
 * with strangers. A static member (KIP-345) is known by its group instance id: a new process takes its place, and the old
 * one is fenced.
 */
import { ErrorCode } from '../../protocol/errors.ts'
import {
  hasSameProtocols,
  type Member,
  type MemberProtocol,
  NO_ASSIGNMENT,
  sizeOfMember,
  type Ticket,
} from './group-member.ts'
import {
  GROUP_BYTES_MAX,
  type GroupLimits,
  type GroupState,
  type Instant,
  joinRefusal,
  memberError,
  type Outcome,
  restartSession,
} from './group-state.ts'
import {
  answerSync,
  commonProtocols,
  currentGeneration,
  describeForLeader,
  rebalance,
  removeMember,
  selectProtocol,
} from './rebalance.ts'

/** A client that waits for its first generation does not know its id, so it cannot heartbeat. */
const NEW_MEMBER_SESSION_MS = 300_000

export interface JoinCommand {
  ticket: Ticket
  /** Empty: not a member yet. */
  memberId: string
  /** The id to use when there is none. */
  newMemberId: string
  groupInstanceId: string | null
  clientId: string
  clientHost: string
  sessionTimeoutMs: number
  rebalanceTimeoutMs: number
  protocolType: string
  protocols: readonly MemberProtocol[]
  /** JoinGroup 4 and later. */
  mustKnowItsId: boolean
  /** JoinGroup 9 and later: a leader that rejoins can be told that nothing is to be assigned. */
  canSkipAssignment: boolean
}

interface Context {
  group: GroupState
  limits: GroupLimits
  at: Instant
  outcome: Outcome
}

export function join(context: Context, command: JoinCommand): void {
  const errorCode = joinError(context, command)
  if (errorCode !== ErrorCode.NONE) return refuse(context, command, errorCode)
  if (command.memberId !== '') return rejoin(context, command)
  if (command.groupInstanceId !== null) return joinStatic(context, command, command.groupInstanceId)
  if (!command.mustKnowItsId) return addMember(context, command, command.newMemberId)
  const { group, at } = context
  group.pendingMembers.set(command.newMemberId, at.monotonicMs + command.sessionTimeoutMs)
  refuse(context, { ...command, memberId: command.newMemberId }, ErrorCode.MEMBER_ID_REQUIRED)
}

function joinError({ group, limits }: Context, command: JoinCommand): number {
  const { sessionTimeoutMs, memberId, groupInstanceId } = command
  if (group.phase === 'Dead') return ErrorCode.COORDINATOR_NOT_AVAILABLE
  if (sessionTimeoutMs < limits.sessionTimeoutMsMin || sessionTimeoutMs > limits.sessionTimeoutMsMax)
    return ErrorCode.INVALID_SESSION_TIMEOUT
  if (isFull(group, limits, command)) return ErrorCode.GROUP_MAX_SIZE_REACHED
  if (!canAgree(group, command)) return ErrorCode.INCONSISTENT_GROUP_PROTOCOL
  if (memberId === '') return ErrorCode.NONE
  if (group.pendingMembers.has(memberId)) return groupInstanceId === null ? ErrorCode.NONE : ErrorCode.UNKNOWN_MEMBER_ID
  return memberError(group, memberId, groupInstanceId)
}

function isFull(group: GroupState, limits: GroupLimits, command: JoinCommand): boolean {
  const { memberId, groupInstanceId } = command
  const replaced = groupInstanceId === null ? undefined : group.staticMembers.get(groupInstanceId)
  const known = group.members.get(memberId) ?? (replaced === undefined ? undefined : group.members.get(replaced))
  let sizeBytes = sizeOfMember(command)
  for (const member of group.members.values()) if (member !== known) sizeBytes += sizeOfMember(member)
  if (sizeBytes > GROUP_BYTES_MAX) return true
  if (known) return false
  const isAsking = memberId === '' && command.mustKnowItsId && groupInstanceId === null
  return group.members.size >= limits.membersMax || (isAsking && group.pendingMembers.size >= limits.membersMax)
}

/** Whether there would be a protocol that all members know. */
function canAgree(group: GroupState, { protocolType, protocols }: JoinCommand): boolean {
  if (protocolType === '' || protocols.length === 0) return false
  if (group.phase === 'Empty' || group.members.size === 0) return true
  const common = commonProtocols(group)
  return group.protocolType === protocolType && protocols.some(({ name }) => common.has(name))
}

function addMember(context: Context, command: JoinCommand, memberId: string): void {
  const { group, limits, at, outcome } = context
  const { ticket, groupInstanceId, clientId, clientHost, protocols } = command
  group.pendingMembers.delete(memberId)
  const member: Member = {
    ...{ memberId, groupInstanceId, clientId, clientHost, protocols },
    sessionTimeoutMs: command.sessionTimeoutMs,
    rebalanceTimeoutMs: command.rebalanceTimeoutMs,
    assignment: NO_ASSIGNMENT,
    isNew: true,
    awaitingJoin: ticket,
    awaitingSync: undefined,
    sessionDeadline: at.monotonicMs + NEW_MEMBER_SESSION_MS,
  }
  if (group.members.size === 0) group.protocolType = command.protocolType
  group.members.set(memberId, member)
  if (groupInstanceId !== null) group.staticMembers.set(groupInstanceId, memberId)
  group.leaderId ??= memberId
  if (group.joinWait?.kind === 'initial') group.joinWait.hasNewMember = true
  rebalance(group, limits, at, outcome)
}

function rejoin(context: Context, command: JoinCommand): void {
  const { group, outcome } = context
  if (group.pendingMembers.has(command.memberId)) return addMember(context, command, command.memberId)
  const member = group.members.get(command.memberId)!
  const isUnchanged = hasSameProtocols(member, command.protocols)
  // The answer to the first request may have been lost, or the member asks although nothing has happened. A leader that
  // rejoins a stable group wants to assign anew.
  const isLeader = group.leaderId === member.memberId
  if (isUnchanged && (group.phase === 'CompletingRebalance' || (group.phase === 'Stable' && !isLeader))) {
    outcome.replies.push({ kind: 'join', ticket: command.ticket, body: currentGeneration(group, member) })
    restartSession(member, context.at)
    return
  }
  updateMember(context, member, command)
  rebalance(group, context.limits, context.at, outcome)
}

function updateMember({ outcome }: Context, member: Member, command: JoinCommand): void {
  // A request of the same member that still waits has been given up by its client, but its answer may hold up others.
  if (member.awaitingJoin !== undefined) {
    const body = joinRefusal(member.memberId, ErrorCode.REBALANCE_IN_PROGRESS)
    outcome.replies.push({ kind: 'join', ticket: member.awaitingJoin, body })
  }
  member.protocols = command.protocols
  member.sessionTimeoutMs = command.sessionTimeoutMs
  member.rebalanceTimeoutMs = command.rebalanceTimeoutMs
  member.clientId = command.clientId
  member.clientHost = command.clientHost
  member.awaitingJoin = command.ticket
}

function joinStatic(context: Context, command: JoinCommand, groupInstanceId: string): void {
  const { group, limits, at, outcome } = context
  const oldMemberId = group.staticMembers.get(groupInstanceId)
  const old = oldMemberId === undefined ? undefined : group.members.get(oldMemberId)
  if (!old) return addMember(context, command, command.newMemberId)
  const oldLeaderId = group.leaderId
  const isUnchanged = hasSameProtocols(old, command.protocols)
  const member = takeOver(context, old, command.newMemberId)
  if (group.phase !== 'Stable' || !isUnchanged || selectProtocol(group) !== group.protocolName) {
    updateMember(context, member, command)
    return rebalance(group, limits, at, outcome)
  }
  // Nothing to agree on: the newcomer goes on where the old process was.
  updateMember(context, member, command)
  member.awaitingJoin = undefined
  restartSession(member, at)
  outcome.mustPersist = true
  const isLeader = group.leaderId === member.memberId
  const tellsTruth = command.canSkipAssignment
  outcome.replies.push({
    kind: 'join',
    ticket: command.ticket,
    body: {
      ...currentGeneration(group, member),
      // Older clients that see themselves as leader would assign anew; they are shown the leader of before.
      leader: (tellsTruth ? group.leaderId : oldLeaderId) ?? '',
      skipAssignment: tellsTruth && isLeader,
      members: tellsTruth && isLeader ? describeForLeader(group) : [],
    },
  })
}

/** The same member under a new id; whoever still speaks under the old one is fenced. */
function takeOver({ group, at, outcome }: Context, old: Member, memberId: string): Member {
  if (old.awaitingJoin !== undefined) {
    const body = joinRefusal(old.memberId, ErrorCode.FENCED_INSTANCE_ID)
    outcome.replies.push({ kind: 'join', ticket: old.awaitingJoin, body })
  }
  answerSync(old, ErrorCode.FENCED_INSTANCE_ID, outcome)
  const member: Member = { ...old, memberId, awaitingJoin: undefined, awaitingSync: undefined }
  group.members.delete(old.memberId)
  group.members.set(memberId, member)
  group.staticMembers.set(old.groupInstanceId!, memberId)
  if (group.leaderId === old.memberId) group.leaderId = memberId
  if (group.pendingSync.delete(old.memberId)) group.pendingSync.add(memberId)
  restartSession(member, at)
  return member
}

function refuse({ outcome }: Context, { ticket, memberId }: JoinCommand, errorCode: number): void {
  outcome.replies.push({ kind: 'join', ticket, body: joinRefusal(memberId, errorCode) })
}

export interface Leaver {
  memberId: string
  groupInstanceId: string | null
}

/** An error code for each. A static member may be named by its instance id alone (an operator takes it out). */
export function leave({ group, limits, at, outcome }: Context, leavers: readonly Leaver[]): number[] {
  let hasLost = false
  let hasGivenUp = false
  const errorCodes = leavers.map(({ memberId: named, groupInstanceId }) => {
    const holder = groupInstanceId === null ? undefined : group.staticMembers.get(groupInstanceId)
    const memberId = named === '' && holder !== undefined ? holder : named
    if (groupInstanceId === null && group.pendingMembers.delete(memberId)) {
      hasGivenUp = true
      return ErrorCode.NONE
    }
    const errorCode = memberError(group, memberId, groupInstanceId)
    if (errorCode !== ErrorCode.NONE) return errorCode
    removeMember(group, group.members.get(memberId)!, outcome)
    hasLost = true
    return ErrorCode.NONE
  })
  // An id that was never used is a reason to go on, not to begin.
  if (hasLost || (hasGivenUp && group.phase === 'PreparingRebalance')) rebalance(group, limits, at, outcome)
  return errorCodes
}
