/**
 * The state of one classic group, and what a command upon it leads to.
 *
 *   Empty ──join──> PreparingRebalance ──all rejoined, or time is up──> CompletingRebalance ──leader's sync──> Stable
 *     ^                 │    ^                                               │                                   │
 *     └──nobody left────┘    └────────────── a member joins, leaves, or falls silent ────────────────────────────┘
 *
 * Any state leads to Dead when the group is removed.
 *
 * Invariants: every member that is told of a generation is told of it after all members of the one before have rejoined
 * or were taken out; the leader is a member whenever there are members; `generationId` never falls.
 */
import { ErrorCode } from '../../protocol/errors.ts'
import type { Member, Ticket } from './group-member.ts'

export type GroupPhase = 'Empty' | 'PreparingRebalance' | 'CompletingRebalance' | 'Stable' | 'Dead'

export interface GroupLimits {
  /** group.initial.rebalance.delay.ms */
  initialRebalanceDelayMs: number
  /** group.min.session.timeout.ms and group.max.session.timeout.ms */
  sessionTimeoutMsMin: number
  sessionTimeoutMsMax: number
  /** group.max.size; given-out member ids that were not used yet are bounded by the same number. */
  membersMax: number
}

/** What all members of a group may say of themselves together, and likewise all their assignments. */
export const GROUP_BYTES_MAX = 4 * 1024 * 1024

/** What a group that prepares a rebalance waits for. */
export type JoinWait =
  /** The first members: more time as long as more of them come, up to the rebalance timeout. */
  | { kind: 'initial'; deadline: number; remainingMs: number; hasNewMember: boolean }
  /** All that were members before. */
  | { kind: 'rejoin'; deadline: number }

export interface GroupState {
  readonly groupId: string
  phase: GroupPhase
  /** Wall clock; for offsets that expire some time after the group emptied. */
  phaseSinceMs: number
  generationId: number
  /** 'consumer', 'connect', ...; null before the first member. */
  protocolType: string | null
  protocolName: string | null
  leaderId: string | null
  /** In the order of joining. */
  readonly members: Map<string, Member>
  /** Member id by group instance id. */
  readonly staticMembers: Map<string, string>
  /** Ids given out to clients that have not come back with them, and until when they may. */
  readonly pendingMembers: Map<string, number>
  joinWait: JoinWait | undefined
  /** Members that know of the generation but have not asked for their assignment, and until when they may. */
  readonly pendingSync: Set<string>
  syncDeadline: number | undefined
}

export interface JoinReply {
  errorCode: number
  memberId: string
  generationId: number
  protocolType: string | null
  protocolName: string | null
  leader: string
  skipAssignment: boolean
  members: Array<{ memberId: string; groupInstanceId: string | null; metadata: Uint8Array }>
}

export interface SyncReply {
  errorCode: number
  protocolType: string | null
  protocolName: string | null
  assignment: Uint8Array
}

export type Reply =
  | { kind: 'join'; ticket: Ticket; body: JoinReply }
  | { kind: 'sync'; ticket: Ticket; body: SyncReply }

/** What a command led to, gathered while it is carried out. */
export interface Outcome {
  readonly replies: Reply[]
  /** The group's record must be on disk before any of the replies goes out. */
  mustPersist: boolean
}

/** When a command happens, in both of the clock's terms. */
export interface Instant {
  monotonicMs: number
  wallMs: number
}

export function newGroupState(groupId: string, at: Instant, generationId = 0): GroupState {
  return {
    groupId,
    phase: 'Empty',
    phaseSinceMs: at.wallMs,
    generationId,
    protocolType: null,
    protocolName: null,
    leaderId: null,
    members: new Map(),
    staticMembers: new Map(),
    pendingMembers: new Map(),
    joinWait: undefined,
    pendingSync: new Set(),
    syncDeadline: undefined,
  }
}

export const newOutcome = (): Outcome => ({ replies: [], mustPersist: false })

export function enterPhase(group: GroupState, phase: GroupPhase, at: Instant): void {
  group.phase = phase
  group.phaseSinceMs = at.wallMs
}

/** The longest time that any member wants for finishing its work before it rejoins. */
export function rebalanceTimeoutMs(group: GroupState): number {
  let longest = 0
  for (const member of group.members.values()) longest = Math.max(longest, member.rebalanceTimeoutMs)
  return longest
}

export function restartSession(member: Member, at: Instant): void {
  member.sessionDeadline = at.monotonicMs + member.sessionTimeoutMs
}

/** Who speaks for a member id: nobody, the member, or a static member whose id was given to a newer process. */
export function memberError(group: GroupState, memberId: string, groupInstanceId: string | null): number {
  if (groupInstanceId !== null) {
    const holder = group.staticMembers.get(groupInstanceId)
    if (holder === undefined) return ErrorCode.UNKNOWN_MEMBER_ID
    if (holder !== memberId) return ErrorCode.FENCED_INSTANCE_ID
  }
  return group.members.has(memberId) ? ErrorCode.NONE : ErrorCode.UNKNOWN_MEMBER_ID
}

export function joinRefusal(memberId: string, errorCode: number): JoinReply {
  return {
    errorCode,
    memberId,
    generationId: -1,
    protocolType: null,
    protocolName: null,
    leader: '',
    skipAssignment: false,
    members: [],
  }
}

export function syncRefusal(errorCode: number): SyncReply {
  return { errorCode, protocolType: null, protocolName: null, assignment: new Uint8Array(0) }
}
