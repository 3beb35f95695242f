/**
 * The way from one generation to the next: wait until everybody has rejoined, agree on a protocol, tell the members.
 */
import { ErrorCode } from '../../protocol/errors.ts'
import { type Member, metadataFor, NO_ASSIGNMENT } from './group-member.ts'
import {
  enterPhase,
  type GroupLimits,
  type GroupState,
  type Instant,
  type JoinReply,
  joinRefusal,
  type Outcome,
  rebalanceTimeoutMs,
  restartSession,
  syncRefusal,
} from './group-state.ts'

/** Somebody joined, left or changed: begins a rebalance, or sees whether that was what the running one waited for. */
export function rebalance(group: GroupState, limits: GroupLimits, at: Instant, outcome: Outcome): void {
  if (group.phase === 'PreparingRebalance') return completeIfAllJoined(group, at, outcome)
  if (group.phase === 'Dead') return
  if (group.phase === 'CompletingRebalance') withdrawAssignments(group, outcome)
  const isFirst = group.phase === 'Empty'
  enterPhase(group, 'PreparingRebalance', at)
  group.pendingSync.clear()
  group.syncDeadline = undefined
  if (isFirst && limits.initialRebalanceDelayMs > 0) {
    const delayMs = limits.initialRebalanceDelayMs
    group.joinWait = {
      kind: 'initial',
      deadline: at.monotonicMs + delayMs,
      remainingMs: Math.max(0, rebalanceTimeoutMs(group) - delayMs),
      hasNewMember: false,
    }
    return
  }
  group.joinWait = { kind: 'rejoin', deadline: at.monotonicMs + rebalanceTimeoutMs(group) }
  completeIfAllJoined(group, at, outcome)
}

/** Those who wait for an assignment of a generation that never will have one. */
function withdrawAssignments(group: GroupState, outcome: Outcome): void {
  for (const member of group.members.values()) {
    member.assignment = NO_ASSIGNMENT
    answerSync(member, ErrorCode.REBALANCE_IN_PROGRESS, outcome)
  }
}

export function answerSync(member: Member, errorCode: number, outcome: Outcome): void {
  if (member.awaitingSync === undefined) return
  outcome.replies.push({ kind: 'sync', ticket: member.awaitingSync, body: syncRefusal(errorCode) })
  member.awaitingSync = undefined
}

function completeIfAllJoined(group: GroupState, at: Instant, outcome: Outcome): void {
  if (group.joinWait?.kind !== 'rejoin' || group.pendingMembers.size > 0) return
  for (const member of group.members.values()) if (member.awaitingJoin === undefined) return
  completeJoin(group, at, outcome)
}

/** The time for joining is up, as far as it is. */
export function expireJoinWait(group: GroupState, limits: GroupLimits, at: Instant, outcome: Outcome): void {
  const wait = group.joinWait
  if (!wait || wait.deadline > at.monotonicMs) return
  if (wait.kind === 'rejoin' || !wait.hasNewMember || wait.remainingMs === 0) return completeJoin(group, at, outcome)
  const delayMs = Math.min(limits.initialRebalanceDelayMs, wait.remainingMs)
  group.joinWait = {
    kind: 'initial',
    deadline: at.monotonicMs + delayMs,
    remainingMs: Math.max(0, wait.remainingMs - delayMs),
    hasNewMember: false,
  }
}

/** Members who did not rejoin are out; static ones stay until their session ends. */
function completeJoin(group: GroupState, at: Instant, outcome: Outcome): void {
  for (const member of [...group.members.values()]) {
    if (member.awaitingJoin === undefined && member.groupInstanceId === null) forgetMember(group, member)
  }
  if (group.members.size > 0 && !electJoinedLeader(group)) {
    group.joinWait = { kind: 'rejoin', deadline: at.monotonicMs + Math.max(1, rebalanceTimeoutMs(group)) }
    return
  }
  group.joinWait = undefined
  group.generationId++
  if (group.members.size === 0) {
    group.protocolName = null
    enterPhase(group, 'Empty', at)
    outcome.mustPersist = true
    return
  }
  group.protocolName = selectProtocol(group)
  enterPhase(group, 'CompletingRebalance', at)
  group.syncDeadline = at.monotonicMs + rebalanceTimeoutMs(group)
  for (const member of group.members.values()) {
    group.pendingSync.add(member.memberId)
    member.isNew = false
    restartSession(member, at)
    if (member.awaitingJoin === undefined) continue
    outcome.replies.push({ kind: 'join', ticket: member.awaitingJoin, body: currentGeneration(group, member) })
    member.awaitingJoin = undefined
  }
}

/** The leader must be one who is there to assign. */
function electJoinedLeader(group: GroupState): boolean {
  const leader = group.leaderId === null ? undefined : group.members.get(group.leaderId)
  if (leader?.awaitingJoin !== undefined) return true
  for (const member of group.members.values()) {
    if (member.awaitingJoin === undefined) continue
    group.leaderId = member.memberId
    return true
  }
  return false
}

/** What a member is told when it has (re)joined. Only the leader gets to know the others. */
export function currentGeneration(group: GroupState, member: Member): JoinReply {
  const isLeader = group.leaderId === member.memberId
  return {
    errorCode: ErrorCode.NONE,
    memberId: member.memberId,
    generationId: group.generationId,
    protocolType: group.protocolType,
    protocolName: group.protocolName,
    leader: group.leaderId ?? '',
    skipAssignment: false,
    members: isLeader ? describeForLeader(group) : [],
  }
}

export function describeForLeader(group: GroupState): JoinReply['members'] {
  return [...group.members.values()].map((member) => ({
    memberId: member.memberId,
    groupInstanceId: member.groupInstanceId,
    metadata: metadataFor(member, group.protocolName),
  }))
}

/** Names of the protocols that every member knows. */
export function commonProtocols(group: GroupState): Set<string> {
  const members = [...group.members.values()]
  const counts = new Map<string, number>()
  for (const { protocols } of members) {
    for (const name of new Set(protocols.map((protocol) => protocol.name)))
      counts.set(name, (counts.get(name) ?? 0) + 1)
  }
  return new Set([...counts.keys()].filter((name) => counts.get(name) === members.length))
}

/** Each member votes for its first choice among what all know. */
export function selectProtocol(group: GroupState): string | null {
  const candidates = commonProtocols(group)
  const votes = new Map<string, number>()
  for (const { protocols } of group.members.values()) {
    const choice = protocols.find(({ name }) => candidates.has(name))?.name
    if (choice !== undefined) votes.set(choice, (votes.get(choice) ?? 0) + 1)
  }
  let winner: string | null = null
  for (const [name, count] of votes) if (winner === null || count > votes.get(winner)!) winner = name
  return winner
}

/** Takes a member out of all books. Whoever waits in its name must have been answered. */
export function forgetMember(group: GroupState, member: Member): void {
  const { memberId, groupInstanceId } = member
  group.members.delete(memberId)
  group.pendingSync.delete(memberId)
  if (groupInstanceId !== null && group.staticMembers.get(groupInstanceId) === memberId)
    group.staticMembers.delete(groupInstanceId)
  if (group.leaderId === memberId) group.leaderId = group.members.keys().next().value ?? null
}

/** A member that left, fell silent, or never asked for its assignment. */
export function removeMember(group: GroupState, member: Member, outcome: Outcome): void {
  if (member.awaitingJoin !== undefined) {
    const body = joinRefusal(member.memberId, ErrorCode.UNKNOWN_MEMBER_ID)
    outcome.replies.push({ kind: 'join', ticket: member.awaitingJoin, body })
    member.awaitingJoin = undefined
  }
  answerSync(member, ErrorCode.UNKNOWN_MEMBER_ID, outcome)
  forgetMember(group, member)
}
