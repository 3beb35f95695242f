/**
 * Who is in a share group (KIP-932), and which partitions each may fetch from: a consumer group in which partitions are
 * shared, so nobody waits for anybody. A member walks to its target with its next heartbeat.
 *
 * It has no clock and does no I/O; `nextDeadline` says when `expire` must be called at the latest. What becomes of records is
 * in share-partition.ts.
 */

import { KafkaError } from '../../../protocol/errors.ts'
import { JOIN_EPOCH } from '../../../protocol/messages/consumer-groups.ts'
import { AssignedGroup } from '../consumer/assigned-group.ts'
import type { ChangeOutcome, HeartbeatOutcome } from '../consumer/consumer-group.ts'
import { changedRecords } from '../consumer/consumer-records.ts'
import {
  bumpEpoch,
  Changes,
  type ConsumerLimits,
  type ConsumerState,
  newConsumerState,
  removeMember,
  wakeBy,
} from '../consumer/consumer-state.ts'
import type { ConsumerMember } from '../consumer/member.ts'
import { admit, type HeartbeatCommand, profileOf } from '../consumer/membership.ts'
import { isSame, NO_PARTITIONS } from '../consumer/partitions.ts'
import { assign, noticeTopics } from '../consumer/target.ts'
import type { TopicCatalog } from '../consumer/topics.ts'
import type { Instant } from '../group-state.ts'

export type ShareGroupLimits = Pick<ConsumerLimits, 'sessionTimeoutMs' | 'heartbeatIntervalMs' | 'membersMax'>

/** What one heartbeat says. null: as before. */
export type ShareHeartbeat = Pick<
  HeartbeatCommand,
  'memberId' | 'memberEpoch' | 'rackId' | 'clientId' | 'clientHost' | 'subscribedNames'
>

export const SIMPLE_ASSIGNOR = 'simple'
const ASSIGNMENT = { assignors: [SIMPLE_ASSIGNOR] }
/** In the target and in what the member has. */
const BYTES_PER_PARTITION = 48

export class ShareGroup extends AssignedGroup<ShareGroupLimits> {
  readonly type = 'share'
  readonly protocolType = 'share'

  constructor(groupId: string, limits: () => ShareGroupLimits, topics: TopicCatalog, at: Instant) {
    super(newConsumerState(groupId, at, 'share'), limits, topics)
  }

  get phase(): 'Empty' | 'Stable' {
    return this.isEmpty ? 'Empty' : 'Stable'
  }

  /** What members said of themselves, and what they are to read. */
  get sizeBytes(): number {
    const readers = Math.max(this.state.targetedCount, this.state.members.size)
    return this.state.profileBytes + readers * BYTES_PER_PARTITION
  }

  /** Throws KafkaError, and changes nothing then. */
  heartbeat(said: ShareHeartbeat, at: Instant): HeartbeatOutcome {
    const group = this.state
    const limits = this.limits()
    const known = this.#sender(said)
    const command: HeartbeatCommand = { ...said, ...NEVER_SAID }
    const profile = profileOf(command, known?.profile)
    const before = known?.standing
    const changes = new Changes()
    const wasEmpty = this.isEmpty
    const member = admit(group, said.memberId, { member: known, replaced: undefined }, profile, limits, changes)
    if (wasEmpty) this.since(at, changes)
    noticeTopics(group, this.topics, changes)
    assign(group, this.topics, ASSIGNMENT, at, changes)
    follow(group, member, changes)
    member.sessionDeadline = at.monotonicMs + limits.sessionTimeoutMs
    wakeBy(group, member.sessionDeadline)
    const { epoch, assigned } = member.standing
    const mustTell =
      said.memberEpoch !== before?.epoch || said.subscribedNames !== null || !isSame(assigned, before.assigned)
    const reply = {
      ...{ memberId: said.memberId, memberEpoch: epoch, heartbeatIntervalMs: limits.heartbeatIntervalMs },
      assignment: mustTell ? assigned : null,
    }
    return { reply, records: changedRecords(group, changes) }
  }

  /** Throws KafkaError, and changes nothing then. */
  leave(memberId: string, at: Instant): ChangeOutcome {
    const member = this.state.members.get(memberId)
    if (!member) throw unknownMember(this.groupId, memberId)
    const changes = new Changes()
    removeMember(this.state, member, changes)
    return this.#afterLoss(changes, at)
  }

  /** Members that were silent are out, and what can be assigned is. */
  expire(at: Instant): ChangeOutcome {
    const group = this.state
    const changes = new Changes()
    group.wakeAt = Number.POSITIVE_INFINITY
    for (const member of [...group.members.values()]) {
      if (member.sessionDeadline > at.monotonicMs) wakeBy(group, member.sessionDeadline)
      else removeMember(group, member, changes)
    }
    return this.#afterLoss(changes, at)
  }

  subscribedTopics(): Set<string> {
    return new Set([...this.state.members.values()].flatMap(({ profile }) => profile.subscribedNames))
  }

  /** Undefined: it joins. An answer that told of a newer epoch may have been lost. */
  #sender({ memberId, memberEpoch }: ShareHeartbeat): ConsumerMember | undefined {
    const known = this.state.members.get(memberId)
    if (memberEpoch === JOIN_EPOCH) return known
    if (!known) throw unknownMember(this.groupId, memberId)
    const { epoch, previousEpoch } = known.standing
    if (memberEpoch !== epoch && memberEpoch !== previousEpoch)
      throw new KafkaError('FENCED_MEMBER_EPOCH', `member ${memberId} has epoch ${epoch}, not ${memberEpoch}`)
    return known
  }

  #afterLoss(changes: Changes, at: Instant): ChangeOutcome {
    if (changes.removed.size > 0) {
      bumpEpoch(this.state, changes)
      if (this.isEmpty) this.since(at, changes)
    }
    assign(this.state, this.topics, ASSIGNMENT, at, changes)
    return { records: changedRecords(this.state, changes) }
  }
}

/** What members of consumer groups say besides. */
const NEVER_SAID = {
  ...{ instanceId: null, rebalanceTimeoutMs: null, subscribedRegex: null, serverAssignor: null, owned: null },
} as const

/** A member has its target at once, as others may have the same. */
function follow({ assignmentEpoch: epoch }: ConsumerState, member: ConsumerMember, changes: Changes): void {
  const { standing, target } = member
  member.isReconciled = true
  if (standing.epoch === epoch && isSame(standing.assigned, target)) return
  const previousEpoch = standing.epoch === epoch ? standing.previousEpoch : standing.epoch
  member.standing = { epoch, previousEpoch, assigned: target, revoking: NO_PARTITIONS }
  changes.standings.add(member.memberId)
}

const unknownMember = (groupId: string, memberId: string) =>
  new KafkaError('UNKNOWN_MEMBER_ID', `group ${groupId} has no member ${memberId}`)
