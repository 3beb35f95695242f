/**
 * The next consumer group protocol (KIP-848) as a state machine: heartbeats at given instants in, a reply and records to
 * keep out. It has no clock and does no I/O; `nextDeadline` says when `expire` must be called at the latest.
 *
 * Coming and going is in membership.ts, who shall read what in target.ts, the way there in reconcile.ts; members that speak
 * the classic protocol in classic-members.ts.
 */

import { ErrorCode } from '../../../protocol/errors.ts'
import type { GroupSnapshot } from '../classic-group.ts'
import type { Instant, JoinReply, SyncReply } from '../group-state.ts'
import type { Leaver } from '../membership.ts'
import type { TopicPartition } from '../offsets.ts'
import type { MemberClaim } from '../sync.ts'
import { AssignedGroup } from './assigned-group.ts'
import {
  byTopicId,
  type ClassicJoin,
  type ClassicSync,
  checkClassicJoin,
  classicProfile,
  findClassicSender,
  heartbeat,
  idRequired,
  joined,
  leaveClassic,
  mustAskAgain,
  sync,
} from './classic-members.ts'
import { type ConsumerRecord, changedRecords } from './consumer-records.ts'
import {
  bumpEpoch,
  Changes,
  type ConsumerLimits,
  type ConsumerPhase,
  newConsumerState,
  phaseOf,
  type ResolvedPattern,
  removeMember,
  wakeBy,
} from './consumer-state.ts'
import { type ConsumerMember, deadlineOf, type Profile } from './member.ts'
import {
  admit,
  findSender,
  forgetUnusedPatterns,
  type HeartbeatCommand,
  leave,
  profileOf,
  type Sender,
} from './membership.ts'
import { downgraded, hasOnlyClassicMembers } from './migration.ts'
import { isSame, type Partitions } from './partitions.ts'
import { reconcile } from './reconcile.ts'
import { assign, assignorOf, namesOf, noticeTopics } from './target.ts'
import type { TopicCatalog } from './topics.ts'

export interface HeartbeatReply {
  memberId: string
  memberEpoch: number
  heartbeatIntervalMs: number
  /** null: as the member knows it. */
  assignment: Partitions | null
}

/** What must be on disk before anybody is told. */
export interface ChangeOutcome {
  records: ConsumerRecord[]
  /** Only members of the classic protocol are left: the group goes on as this, and this one is no more. */
  downgrade?: GroupSnapshot
}

export interface HeartbeatOutcome extends ChangeOutcome {
  reply: HeartbeatReply
}

export interface EpochClaim {
  memberId: string
  memberEpoch: number
}

export interface CommitClaim extends EpochClaim {
  isTransactional?: boolean
  /** OffsetCommit 9 and later. */
  knowsEpochs?: boolean
}

/** A member that waits for others is asked to look again soon. */
const SOON_MS = 1000
/** In the target, in what the member has, and among the owners. */
const BYTES_PER_PARTITION = 64

export class ConsumerGroup extends AssignedGroup<ConsumerLimits> {
  readonly type = 'consumer'
  readonly protocolType = 'consumer'

  constructor(groupId: string, limits: () => ConsumerLimits, topics: TopicCatalog, at: Instant, epoch = 0) {
    super(newConsumerState(groupId, at, 'consumer', epoch), limits, topics)
  }

  get assignorName(): string {
    return assignorOf(this.state, this.limits())
  }

  get phase(): ConsumerPhase {
    return phaseOf(this.state)
  }

  /** What members said of themselves, and what they are to read. */
  get sizeBytes(): number {
    return this.state.profileBytes + this.state.targetedCount * BYTES_PER_PARTITION
  }

  /** The regular expression that must be resolved before this heartbeat is handed in. */
  unresolvedPattern({ memberId, subscribedRegex }: Pick<HeartbeatCommand, 'memberId' | 'subscribedRegex'>) {
    const regex = subscribedRegex ?? this.state.members.get(memberId)?.profile.subscribedRegex ?? null
    if (regex === null || regex === '') return undefined
    return this.state.patterns.get(regex)?.topicsVersion === this.topics.topicsVersion ? undefined : regex
  }

  /** Throws KafkaError, and changes nothing then. */
  heartbeat(command: HeartbeatCommand, pattern: ResolvedPattern | undefined, at: Instant): HeartbeatOutcome {
    const limits = this.limits()
    const sender = findSender(this.state, command)
    const profile = profileOf(command, (sender.member ?? sender.replaced)?.profile)
    const before = sender.member?.standing
    const changes = new Changes()
    const member = this.#enter(command.memberId, sender, profile, { pattern, owned: () => command.owned }, at, changes)
    member.sessionDeadline = at.monotonicMs + limits.sessionTimeoutMs
    wakeBy(this.state, member.sessionDeadline)
    const { epoch, assigned } = member.standing
    // A member that is behind has lost an answer.
    const mustTell =
      command.memberEpoch !== before?.epoch || isFullRequest(command) || !isSame(assigned, before.assigned)
    const isWaiting = !member.isReconciled || this.epoch > this.assignmentEpoch
    const reply: HeartbeatReply = {
      memberId: member.memberId,
      memberEpoch: epoch,
      heartbeatIntervalMs: isWaiting ? Math.min(SOON_MS, limits.heartbeatIntervalMs) : limits.heartbeatIntervalMs,
      assignment: mustTell ? assigned : null,
    }
    return { reply, records: changedRecords(this.state, changes) }
  }

  /** Throws KafkaError, and changes nothing then. */
  leave(command: Pick<HeartbeatCommand, 'memberId' | 'memberEpoch' | 'instanceId'>, at: Instant): HeartbeatOutcome {
    const changes = new Changes()
    leave(this.state, command, changes)
    const { memberId, memberEpoch } = command
    const reply = { memberId, memberEpoch, heartbeatIntervalMs: 0, assignment: null }
    return { reply, ...this.#afterLoss(changes, at) }
  }

  /** Everything whose time has come: members that were silent, or did not let go, are out; what can be assigned is. */
  expire(at: Instant): ChangeOutcome {
    const group = this.state
    const changes = new Changes()
    group.wakeAt = Number.POSITIVE_INFINITY
    for (const member of [...group.members.values()]) {
      const deadline = deadlineOf(member)
      if (deadline > at.monotonicMs) wakeBy(group, deadline)
      else removeMember(group, member, changes)
    }
    return this.#afterLoss(changes, at)
  }

  // --- members of the classic protocol -------------------------------------------------------------------------------

  /** Throws KafkaError, and changes nothing then. */
  joinClassic(command: ClassicJoin, at: Instant): ChangeOutcome & { reply: JoinReply } {
    checkClassicJoin(this.state, command)
    const { profile, owned } = classicProfile(command)
    if (mustAskAgain(command)) return { reply: idRequired(command), records: [] }
    const sender = findClassicSender(this.state, command)
    const changes = new Changes()
    const memberId = command.memberId || command.newMemberId
    const ownedById = () => byTopicId(owned, this.topics)
    const member = this.#enter(memberId, sender, profile, { owned: ownedById }, at, changes)
    const reply = joined(this.state, member, at)
    return { reply, ...this.#outcome(changes, at) }
  }

  /** Throws KafkaError. */
  syncClassic(command: ClassicSync, at: Instant): SyncReply {
    return sync(this.state, command, this.topics, at)
  }

  /** An error code. Throws KafkaError. */
  heartbeatClassic(claim: MemberClaim, at: Instant): number {
    return heartbeat(this.state, claim, at)
  }

  /** An error code for each. */
  leaveClassic(leavers: readonly Leaver[], at: Instant): ChangeOutcome & { errorCodes: number[] } {
    const changes = new Changes()
    const errorCodes = leavers.map((leaver) => leaveClassic(this.state, leaver, changes))
    return { errorCodes, ...this.#afterLoss(changes, at) }
  }

  /**
   * Whether offsets may be committed by this claim (NONE). A member may commit for what it had in an older epoch of its
   * own and still has: it may not have heard of the newer.
   */
  commitError(claim: CommitClaim, offsets: readonly TopicPartition[]): number {
    const { memberId, memberEpoch, isTransactional = false, knowsEpochs = false } = claim
    // A tool; or, in a transaction, a client of the days when those did not name members.
    if (memberEpoch < 0 && (this.isEmpty || (isTransactional && memberId === ''))) return ErrorCode.NONE
    const member = this.state.members.get(memberId)
    if (!member) return ErrorCode.UNKNOWN_MEMBER_ID
    if (member.profile.classic)
      return memberEpoch === member.standing.epoch ? ErrorCode.NONE : ErrorCode.ILLEGAL_GENERATION
    if (!isTransactional && !knowsEpochs) return ErrorCode.UNSUPPORTED_VERSION
    if (this.#isCurrent(member, memberEpoch, offsets)) return ErrorCode.NONE
    return isTransactional ? ErrorCode.ILLEGAL_GENERATION : ErrorCode.STALE_MEMBER_EPOCH
  }

  #isCurrent({ memberId, standing }: ConsumerMember, epoch: number, offsets: readonly TopicPartition[]): boolean {
    if (epoch >= standing.epoch) return epoch === standing.epoch
    return offsets.every(({ topicId, partition }) => {
      const holding = this.state.owners.holding(topicId, partition)
      return holding?.memberId === memberId && holding.sinceEpoch <= epoch
    })
  }

  /** Whether this member may look up offsets. Tools name none. */
  fetchError({ memberId, memberEpoch }: EpochClaim): number {
    const member = this.state.members.get(memberId)
    if (!member) return ErrorCode.UNKNOWN_MEMBER_ID
    return member.standing.epoch === memberEpoch ? ErrorCode.NONE : ErrorCode.STALE_MEMBER_EPOCH
  }

  /** By name; null when that cannot be known yet, so that every topic must be taken for read. */
  subscribedTopics(): Set<string> | null {
    const topics = new Set<string>()
    const seen = new Set<readonly string[]>()
    for (const { profile } of this.state.members.values()) {
      const names = namesOf(this.state, profile)
      if (!names) return null
      if (seen.has(names)) continue
      seen.add(names)
      for (const name of names) topics.add(name)
    }
    return topics
  }

  /** Everything that somebody's word leads to, but for the answer. */
  #enter(
    memberId: string,
    sender: Sender,
    profile: Profile,
    { pattern, owned }: { pattern?: ResolvedPattern; owned: () => Partitions | null },
    at: Instant,
    changes: Changes,
  ): ConsumerMember {
    const group = this.state
    const limits = this.limits()
    const wasEmpty = this.isEmpty
    const member = admit(group, memberId, sender, profile, limits, changes)
    if (wasEmpty) this.since(at, changes)
    if (pattern) this.#learn(pattern, changes)
    noticeTopics(group, this.topics, changes)
    assign(group, this.topics, limits, at, changes)
    reconcile(group, member, owned(), at, changes)
    return member
  }

  #afterLoss(changes: Changes, at: Instant): ChangeOutcome {
    const group = this.state
    if (changes.removed.size > 0) {
      // The classic group goes on in this epoch.
      if (this.#mustDowngrade()) return this.#outcome(changes, at)
      bumpEpoch(group, changes)
      forgetUnusedPatterns(group)
      if (this.isEmpty) this.since(at, changes)
    }
    assign(group, this.topics, this.limits(), at, changes)
    return this.#outcome(changes, at)
  }

  #outcome(changes: Changes, at: Instant): ChangeOutcome {
    if (changes.removed.size > 0 && this.#mustDowngrade())
      return { records: [], downgrade: downgraded(this.state, this.topics, at) }
    return { records: changedRecords(this.state, changes) }
  }

  #mustDowngrade(): boolean {
    return this.state.members.size <= this.limits().downgradedMembersMax && hasOnlyClassicMembers(this.state)
  }

  #learn(pattern: ResolvedPattern, changes: Changes): void {
    const { patterns } = this.state
    const known = patterns.get(pattern.regex)?.names
    patterns.set(pattern.regex, pattern)
    const isUnchanged = known?.length === pattern.names.length && known.every((name, at) => name === pattern.names[at])
    if (known && !isUnchanged) bumpEpoch(this.state, changes)
  }
}

function isFullRequest({ subscribedNames, subscribedRegex, rebalanceTimeoutMs, owned }: HeartbeatCommand): boolean {
  return (subscribedNames ?? subscribedRegex) !== null && rebalanceTimeoutMs !== null && owned !== null
}
