/**
 * The classic group protocol as a state machine: commands at given instants in, replies and a record to keep out. It has
 * no clock and does no I/O; `nextDeadline` says when `expire` must be called at the latest.
 *
 * Coming and going is in membership.ts, the way to a new generation in rebalance.ts, assignments and signs of life in
 * sync.ts.
 */
import { ErrorCode } from '../../protocol/errors.ts'
import { subscribedTopics } from './consumer-protocol.ts'
import { type Member, metadataFor, sizeOfMember } from './group-member.ts'
import {
  enterPhase,
  type GroupLimits,
  type GroupPhase,
  type GroupState,
  type Instant,
  joinRefusal,
  newGroupState,
  newOutcome,
  type Outcome,
  type Reply,
  restartSession,
  syncRefusal,
} from './group-state.ts'
import { type JoinCommand, join, type Leaver, leave } from './membership.ts'
import { expireJoinWait, rebalance } from './rebalance.ts'
import {
  commitError,
  expireSessions,
  expireSyncWait,
  heartbeat,
  type MemberClaim,
  type SyncCommand,
  sync,
} from './sync.ts'

const PENDING_BYTES = 100

/** What lasts of a group: its newest generation that has assignments. Also the JSON in the log but for the bytes. */
export interface GroupSnapshot {
  generationId: number
  protocolType: string | null
  protocolName: string | null
  leaderId: string | null
  /** Wall clock: when it became what it is. */
  sinceMs: number
  members: readonly MemberSnapshot[]
}

export type MemberSnapshot = Pick<
  Member,
  | 'memberId'
  | 'groupInstanceId'
  | 'clientId'
  | 'clientHost'
  | 'sessionTimeoutMs'
  | 'rebalanceTimeoutMs'
  | 'protocols'
  | 'assignment'
>

export class ClassicGroup {
  readonly type = 'classic'
  readonly #state: GroupState
  readonly #limits: () => GroupLimits

  /** `generationId`: the newest that was given out under this name, by whatever protocol. */
  constructor(groupId: string, limits: () => GroupLimits, at: Instant, generationId = 0) {
    this.#state = newGroupState(groupId, at, generationId)
    this.#limits = limits
  }

  /** As it was when `snapshot` was taken; its members have a whole session to show up in. */
  static restore(groupId: string, snapshot: GroupSnapshot, limits: () => GroupLimits, at: Instant): ClassicGroup {
    const group = new ClassicGroup(groupId, limits, at)
    const state = group.#state
    const { generationId, protocolType, protocolName, leaderId } = snapshot
    Object.assign(state, { generationId, protocolType, protocolName, leaderId, phaseSinceMs: snapshot.sinceMs })
    for (const kept of snapshot.members) {
      const member: Member = {
        ...kept,
        isNew: false,
        awaitingJoin: undefined,
        awaitingSync: undefined,
        sessionDeadline: undefined,
      }
      restartSession(member, at)
      state.members.set(member.memberId, member)
      if (member.groupInstanceId !== null) state.staticMembers.set(member.groupInstanceId, member.memberId)
    }
    if (state.members.size > 0) state.phase = 'Stable'
    return group
  }

  get groupId(): string {
    return this.#state.groupId
  }

  get phase(): GroupPhase {
    return this.#state.phase
  }

  get phaseSinceMs(): number {
    return this.#state.phaseSinceMs
  }

  get generationId(): number {
    return this.#state.generationId
  }

  get protocolType(): string | null {
    return this.#state.protocolType
  }

  get protocolName(): string | null {
    return this.#state.protocolName
  }

  get leaderId(): string | null {
    return this.#state.leaderId
  }

  get members(): Iterable<Readonly<Member>> {
    return this.#state.members.values()
  }

  /** What members said of themselves, ids that wait to be used, and assignments. */
  get sizeBytes(): number {
    const { members, pendingMembers } = this.#state
    let size = 0
    for (const id of pendingMembers.keys()) size += PENDING_BYTES + id.length
    for (const member of members.values()) size += sizeOfMember(member) + member.assignment.length
    return size
  }

  get isEmpty(): boolean {
    return this.#state.phase === 'Empty'
  }

  /** It never had a generation. */
  get wasNeverUsed(): boolean {
    return this.#state.generationId === 0
  }

  /** Nobody is in it, nobody is about to be, and nobody ever was. */
  get isUntouched(): boolean {
    return this.isEmpty && this.wasNeverUsed && this.#state.pendingMembers.size === 0
  }

  /** Monotonic; undefined when nothing will happen by itself. */
  get nextDeadline(): number | undefined {
    const { joinWait, syncDeadline, pendingMembers, members } = this.#state
    let next = Math.min(joinWait?.deadline ?? Number.POSITIVE_INFINITY, syncDeadline ?? Number.POSITIVE_INFINITY)
    for (const deadline of pendingMembers.values()) next = Math.min(next, deadline)
    for (const { sessionDeadline } of members.values()) {
      if (sessionDeadline !== undefined) next = Math.min(next, sessionDeadline)
    }
    return Number.isFinite(next) ? next : undefined
  }

  join(command: JoinCommand, at: Instant): Outcome {
    const outcome = newOutcome()
    join({ group: this.#state, limits: this.#limits(), at, outcome }, command)
    return outcome
  }

  sync(command: SyncCommand, at: Instant): Outcome {
    const outcome = newOutcome()
    sync(this.#state, command, at, outcome)
    return outcome
  }

  heartbeat(claim: MemberClaim, at: Instant): number {
    return heartbeat(this.#state, claim, at)
  }

  leave(leavers: readonly Leaver[], at: Instant): { outcome: Outcome; errorCodes: number[] } {
    const outcome = newOutcome()
    const errorCodes = leave({ group: this.#state, limits: this.#limits(), at, outcome }, leavers)
    return { outcome, errorCodes }
  }

  /** Whether offsets may be committed by this claim. A member that may is also seen to be alive. */
  commitError(claim: MemberClaim, at: Instant, isTransactional = false): number {
    const errorCode = commitError(this.#state, claim, isTransactional)
    const member = errorCode === ErrorCode.NONE ? this.#state.members.get(claim.memberId) : undefined
    if (member) restartSession(member, at)
    return errorCode
  }

  /** Everything whose time has come. */
  expire(at: Instant): Outcome {
    const outcome = newOutcome()
    const limits = this.#limits()
    expireSessions(this.#state, limits, at, outcome)
    expireSyncWait(this.#state, limits, at, outcome)
    expireJoinWait(this.#state, limits, at, outcome)
    return outcome
  }

  /** Members are asked to join again. */
  rebalance(at: Instant): void {
    rebalance(this.#state, this.#limits(), at, newOutcome())
  }

  /** The group goes on under the next protocol; whoever waits is told to join again. */
  handOver(at: Instant): Reply[] {
    return this.#end(ErrorCode.REBALANCE_IN_PROGRESS, at).replies
  }

  /** The group is no more; whoever waits is told to look again. */
  die(at: Instant): Outcome {
    return this.#end(ErrorCode.COORDINATOR_NOT_AVAILABLE, at)
  }

  #end(code: number, at: Instant): Outcome {
    const outcome = newOutcome()
    for (const { memberId, awaitingJoin, awaitingSync } of this.#state.members.values()) {
      if (awaitingJoin !== undefined)
        outcome.replies.push({ kind: 'join', ticket: awaitingJoin, body: joinRefusal(memberId, code) })
      if (awaitingSync !== undefined)
        outcome.replies.push({ kind: 'sync', ticket: awaitingSync, body: syncRefusal(code) })
    }
    this.#state.members.clear()
    this.#state.staticMembers.clear()
    this.#state.pendingMembers.clear()
    this.#state.joinWait = undefined
    this.#state.syncDeadline = undefined
    enterPhase(this.#state, 'Dead', at)
    return outcome
  }

  /** What its consumers read; null when that cannot be known, so that every topic must be taken for read. */
  subscribedTopics(): Set<string> | null {
    const { protocolType, protocolName, members } = this.#state
    const topics = new Set<string>()
    for (const member of members.values()) {
      const own = protocolType === 'consumer' ? subscribedTopics(metadataFor(member, protocolName)) : null
      if (own === null) return null
      for (const topic of own) topics.add(topic)
    }
    return topics
  }

  snapshot(): GroupSnapshot {
    const { generationId, protocolType, protocolName, leaderId, phaseSinceMs, members } = this.#state
    return { generationId, protocolType, protocolName, leaderId, sinceMs: phaseSinceMs, members: [...members.values()] }
  }
}
