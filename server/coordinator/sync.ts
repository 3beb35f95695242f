/**
 * SyncGroup and Heartbeat: the leader hands in who reads what, everybody fetches their part and then shows to be alive.
 */
import { ErrorCode } from '../../protocol/errors.ts'
import { type Member, NO_ASSIGNMENT, type Ticket } from './group-member.ts'
import {
  enterPhase,
  GROUP_BYTES_MAX,
  type GroupLimits,
  type GroupState,
  type Instant,
  memberError,
  type Outcome,
  restartSession,
  type SyncReply,
  syncRefusal,
} from './group-state.ts'
import { answerSync, rebalance, removeMember } from './rebalance.ts'

export interface SyncCommand {
  ticket: Ticket
  memberId: string
  groupInstanceId: string | null
  generationId: number
  /** null in versions that don't say. */
  protocolType: string | null
  protocolName: string | null
  /** The leader's work; others send none. */
  assignments: ReadonlyArray<{ memberId: string; assignment: Uint8Array }>
}

export function sync(group: GroupState, command: SyncCommand, at: Instant, outcome: Outcome): void {
  const { ticket, memberId } = command
  const refuse = (errorCode: number) =>
    void outcome.replies.push({ kind: 'sync', ticket, body: syncRefusal(errorCode) })
  const errorCode = syncError(group, command)
  if (errorCode !== ErrorCode.NONE) return refuse(errorCode)
  const member = group.members.get(memberId)!
  if (group.phase === 'Stable') {
    synced(group, member)
    restartSession(member, at)
    return void outcome.replies.push({ kind: 'sync', ticket, body: ownPart(group, member) })
  }
  const isLeader = group.leaderId === memberId
  if (isLeader && sizeOf(command.assignments) > GROUP_BYTES_MAX) return refuse(ErrorCode.INVALID_REQUEST)
  answerSync(member, ErrorCode.REBALANCE_IN_PROGRESS, outcome)
  member.awaitingSync = ticket
  synced(group, member)
  if (isLeader) assign(group, command.assignments, at, outcome)
}

function syncError(group: GroupState, command: SyncCommand): number {
  const { memberId, groupInstanceId, generationId, protocolType, protocolName } = command
  if (group.phase === 'Dead') return ErrorCode.COORDINATOR_NOT_AVAILABLE
  const errorCode = memberError(group, memberId, groupInstanceId)
  if (errorCode !== ErrorCode.NONE) return errorCode
  if (generationId !== group.generationId) return ErrorCode.ILLEGAL_GENERATION
  if (protocolType !== null && protocolType !== group.protocolType) return ErrorCode.INCONSISTENT_GROUP_PROTOCOL
  if (protocolName !== null && protocolName !== group.protocolName) return ErrorCode.INCONSISTENT_GROUP_PROTOCOL
  return group.phase === 'PreparingRebalance' ? ErrorCode.REBALANCE_IN_PROGRESS : ErrorCode.NONE
}

function synced(group: GroupState, member: Member): void {
  group.pendingSync.delete(member.memberId)
  if (group.pendingSync.size === 0) group.syncDeadline = undefined
}

/** Members that the leader left out get nothing to read; strangers that it named are passed over. */
function assign(group: GroupState, assignments: SyncCommand['assignments'], at: Instant, outcome: Outcome): void {
  const byMember = new Map(assignments.map(({ memberId, assignment }) => [memberId, assignment]))
  enterPhase(group, 'Stable', at)
  outcome.mustPersist = true
  for (const member of group.members.values()) {
    member.assignment = byMember.get(member.memberId) ?? NO_ASSIGNMENT
    restartSession(member, at)
    if (member.awaitingSync === undefined) continue
    outcome.replies.push({ kind: 'sync', ticket: member.awaitingSync, body: ownPart(group, member) })
    member.awaitingSync = undefined
  }
}

function ownPart(group: GroupState, member: Member): SyncReply {
  const { protocolType, protocolName } = group
  return { errorCode: ErrorCode.NONE, protocolType, protocolName, assignment: member.assignment }
}

function sizeOf(assignments: SyncCommand['assignments']): number {
  return assignments.reduce((sum, { memberId, assignment }) => sum + memberId.length + assignment.length, 0)
}

/** The time for asking for assignments is up: who did not ask is out, which is a reason to assign anew. */
export function expireSyncWait(group: GroupState, limits: GroupLimits, at: Instant, outcome: Outcome): void {
  if (group.syncDeadline === undefined || group.syncDeadline > at.monotonicMs) return
  group.syncDeadline = undefined
  for (const memberId of [...group.pendingSync]) {
    const member = group.members.get(memberId)
    if (member) removeMember(group, member, outcome)
  }
  rebalance(group, limits, at, outcome)
}

export interface MemberClaim {
  memberId: string
  groupInstanceId: string | null
  generationId: number
}

/** The error code. A member that is told of a rebalance has still shown that it lives. */
export function heartbeat(group: GroupState, claim: MemberClaim, at: Instant): number {
  if (group.phase === 'Dead') return ErrorCode.COORDINATOR_NOT_AVAILABLE
  const errorCode = claimError(group, claim)
  if (errorCode !== ErrorCode.NONE) return errorCode
  restartSession(group.members.get(claim.memberId)!, at)
  return group.phase === 'PreparingRebalance' ? ErrorCode.REBALANCE_IN_PROGRESS : ErrorCode.NONE
}

/**
 * Whether a commit of offsets is a member's right (NONE), and which error it gets else. Without member and generation it
 * comes from a tool or a reader on its own, who may commit only while the group has no members; or, in a transaction,
 * from a client of the days when those did not name them.
 */
export function commitError(group: GroupState, claim: MemberClaim, isTransactional: boolean): number {
  if (group.phase === 'Dead') return ErrorCode.COORDINATOR_NOT_AVAILABLE
  if (claim.generationId < 0 && group.phase === 'Empty') return ErrorCode.NONE
  if (claim.generationId < 0 && claim.memberId === '' && claim.groupInstanceId === null)
    return isTransactional ? ErrorCode.NONE : ErrorCode.UNKNOWN_MEMBER_ID
  const errorCode = claimError(group, claim)
  if (errorCode !== ErrorCode.NONE || isTransactional) return errorCode
  // The member knows the generation but not yet what it may read in it.
  return group.phase === 'CompletingRebalance' ? ErrorCode.REBALANCE_IN_PROGRESS : ErrorCode.NONE
}

function claimError(group: GroupState, { memberId, groupInstanceId, generationId }: MemberClaim): number {
  const errorCode = memberError(group, memberId, groupInstanceId)
  if (errorCode !== ErrorCode.NONE) return errorCode
  return generationId === group.generationId ? ErrorCode.NONE : ErrorCode.ILLEGAL_GENERATION
}

/** Members that were silent for too long are out, and so are ids that nobody came back with. */
export function expireSessions(group: GroupState, limits: GroupLimits, at: Instant, outcome: Outcome): void {
  let hasLost = false
  let hasGivenUp = false
  for (const [memberId, deadline] of group.pendingMembers) {
    if (deadline <= at.monotonicMs) hasGivenUp = group.pendingMembers.delete(memberId)
  }
  for (const member of [...group.members.values()]) {
    if (member.sessionDeadline === undefined || member.sessionDeadline > at.monotonicMs) continue
    const waitsForGroup = member.awaitingJoin !== undefined || member.awaitingSync !== undefined
    if (waitsForGroup && !member.isNew) {
      // It is the group that lets it wait; its session starts anew with the answer.
      member.sessionDeadline = undefined
      continue
    }
    removeMember(group, member, outcome)
    hasLost = true
  }
  // An id that was never used is a reason to go on, not to begin.
  if (hasLost || (hasGivenUp && group.phase === 'PreparingRebalance')) rebalance(group, limits, at, outcome)
}
