/**
 * Members of the classic protocol in a consumer group (online migration): each joins, syncs and heartbeats for itself, and
 * is assigned by the relay like all others. There is no leader, and nobody waits.
 *
 *   join       says what it reads and, with a cooperative assignor, still has; is told its epoch as a generation
 *   sync       fetches what it may read
 *   heartbeat  hears REBALANCE_IN_PROGRESS when another round may bring it nearer to its target
 */
import { ErrorCode, KafkaError } from '../../../protocol/errors.ts'
import { encodeAssignment } from '../../../protocol/messages/consumer-protocol.ts'
import { subscriptionIn, versionOf } from '../consumer-protocol.ts'
import { type Instant, type JoinReply, joinRefusal, type SyncReply } from '../group-state.ts'
import type { JoinCommand, Leaver } from '../membership.ts'
import type { MemberClaim, SyncCommand } from '../sync.ts'
import { type Changes, type ConsumerState, removeMember, wakeBy } from './consumer-state.ts'
import type { ConsumerMember, Profile } from './member.ts'
import { checkHolder, type Sender } from './membership.ts'
import { listsOf, onlyThose, type Partitions, partitionsOf, without } from './partitions.ts'
import type { TopicCatalog } from './topics.ts'

export const CLASSIC_TYPE = 'consumer'

export type ClassicJoin = Omit<JoinCommand, 'ticket'>
export type ClassicSync = Omit<SyncCommand, 'ticket' | 'assignments'>

/** A member that does not know its id yet is given one, and joins with it. */
export function mustAskAgain({ memberId, mustKnowItsId, groupInstanceId }: ClassicJoin): boolean {
  return memberId === '' && mustKnowItsId && groupInstanceId === null
}

export function idRequired({ newMemberId }: ClassicJoin): JoinReply {
  return joinRefusal(newMemberId, ErrorCode.MEMBER_ID_REQUIRED)
}

/** Throws KafkaError when it is not a member that this group could have. */
export function checkClassicJoin(group: ConsumerState, { protocolType, protocols }: ClassicJoin): void {
  const names = new Set(protocols.map(({ name }) => name))
  for (const { profile } of group.members.values()) {
    if (!profile.classic) continue
    const known = new Set(profile.classic.protocols.map(({ name }) => name))
    for (const name of names) if (!known.has(name)) names.delete(name)
  }
  if (protocolType !== CLASSIC_TYPE || names.size === 0)
    throw new KafkaError('INCONSISTENT_GROUP_PROTOCOL', `members of ${group.groupId} share no protocol with this one`)
}

export function findClassicSender(
  group: ConsumerState,
  { memberId, newMemberId, groupInstanceId }: ClassicJoin,
): Sender {
  const known = group.members.get(memberId)
  if (known && !known.profile.classic)
    throw new KafkaError('UNKNOWN_MEMBER_ID', `member ${memberId} does not speak the classic protocol`)
  if (groupInstanceId === null) return { member: known, replaced: undefined }
  const holder = group.members.get(group.staticMembers.get(groupInstanceId) ?? '')
  // Its next process takes its place, whether the last one is there or not.
  if (memberId === '') return { member: undefined, replaced: holder?.memberId === newMemberId ? undefined : holder }
  checkHolder(holder, memberId, groupInstanceId)
  return { member: holder, replaced: undefined }
}

/** Throws KafkaError when what it says of itself cannot be read. */
export function classicProfile(command: ClassicJoin): { profile: Profile; owned: ReadonlyArray<OwnedByName> } {
  const { groupInstanceId: instanceId, clientId, clientHost, rebalanceTimeoutMs, sessionTimeoutMs, protocols } = command
  const subscription = protocols[0] && subscriptionIn(protocols[0].metadata)
  if (!subscription) throw new KafkaError('INCONSISTENT_GROUP_PROTOCOL', 'the member does not say what it reads')
  const profile: Profile = {
    ...{ instanceId, clientId, clientHost, rebalanceTimeoutMs },
    rackId: subscription.rackId,
    subscribedNames: [...new Set(subscription.topics)].sort(),
    subscribedRegex: null,
    serverAssignor: null,
    classic: { sessionTimeoutMs, protocols },
  }
  return { profile, owned: subscription.ownedPartitions }
}

interface OwnedByName {
  topic: string
  partitions: readonly number[]
}

/** Topics that are gone are passed over. */
export function byTopicId(lists: readonly OwnedByName[], topics: TopicCatalog): Partitions {
  return partitionsOf(
    lists.flatMap(({ topic, partitions }) => {
      const topicId = topics.topicByName(topic)?.id
      return topicId === undefined ? [] : [{ topicId, partitions }]
    }),
  )
}

export function joined(group: ConsumerState, member: ConsumerMember, at: Instant): JoinReply {
  const { memberId, profile, standing } = member
  member.joinDeadline = undefined
  member.syncDeadline = at.monotonicMs + profile.rebalanceTimeoutMs
  wakeBy(group, member.syncDeadline)
  restartSession(group, member, at)
  return {
    ...joinRefusal(memberId, ErrorCode.NONE),
    generationId: standing.epoch,
    protocolType: CLASSIC_TYPE,
    protocolName: profile.classic!.protocols[0]!.name,
  }
}

function restartSession(group: ConsumerState, member: ConsumerMember, at: Instant): void {
  member.sessionDeadline = at.monotonicMs + member.profile.classic!.sessionTimeoutMs
  wakeBy(group, member.sessionDeadline)
}

/** Throws KafkaError unless the claim is that of a member, in its epoch. */
function claimant(group: ConsumerState, { memberId, groupInstanceId, generationId }: MemberClaim): ConsumerMember {
  if (groupInstanceId !== null)
    checkHolder(group.members.get(group.staticMembers.get(groupInstanceId) ?? ''), memberId, groupInstanceId)
  const member = group.members.get(memberId)
  if (!member?.profile.classic)
    throw new KafkaError('UNKNOWN_MEMBER_ID', `${group.groupId} has no member ${memberId} of the classic protocol`)
  if (generationId !== member.standing.epoch)
    throw new KafkaError('ILLEGAL_GENERATION', `member ${memberId} has epoch ${member.standing.epoch}`)
  return member
}

/** The error code. A static member may be named by its instance id alone (an operator takes it out). */
export function leaveClassic(group: ConsumerState, { memberId, groupInstanceId }: Leaver, changes: Changes): number {
  const holderId = groupInstanceId === null ? undefined : group.staticMembers.get(groupInstanceId)
  if (groupInstanceId !== null && holderId === undefined) return ErrorCode.UNKNOWN_MEMBER_ID
  if (holderId !== undefined && memberId !== '' && holderId !== memberId) return ErrorCode.FENCED_INSTANCE_ID
  const member = group.members.get(holderId ?? memberId)
  if (!member?.profile.classic) return ErrorCode.UNKNOWN_MEMBER_ID
  removeMember(group, member, changes)
  return ErrorCode.NONE
}

/** Throws KafkaError. */
export function sync(group: ConsumerState, command: ClassicSync, topics: TopicCatalog, at: Instant): SyncReply {
  const member = claimant(group, command)
  const { protocols } = member.profile.classic!
  const { name: protocolName, metadata } = protocols[0]!
  const isOther =
    (command.protocolType ?? CLASSIC_TYPE) !== CLASSIC_TYPE || (command.protocolName ?? protocolName) !== protocolName
  if (isOther) throw new KafkaError('INCONSISTENT_GROUP_PROTOCOL', 'the member joined with another protocol')
  // While it has to let go of something it does that first.
  if (member.standing.epoch < group.assignmentEpoch && member.standing.revoking.size === 0) {
    askToJoin(group, member, at)
    throw new KafkaError('REBALANCE_IN_PROGRESS', `group ${group.groupId} is assigned anew`)
  }
  member.syncDeadline = undefined
  restartSession(group, member, at)
  const assignment = encodeForMember(member.standing.assigned, versionOf(metadata), topics)
  return { errorCode: ErrorCode.NONE, protocolType: CLASSIC_TYPE, protocolName, assignment }
}

export function encodeForMember(partitions: Partitions, version: number, topics: TopicCatalog): Uint8Array {
  const assigned = listsOf(partitions).flatMap(({ topicId, partitions: list }) => {
    const topic = topics.topicById(topicId)?.name
    return topic === undefined ? [] : [{ topic, partitions: [...list] }]
  })
  return encodeAssignment({ assignedPartitions: assigned, userData: null }, Math.max(0, Math.min(version, 3)))
}

/** The error code. Throws KafkaError. A member that is told of a rebalance has still shown that it lives. */
export function heartbeat(group: ConsumerState, claim: MemberClaim, at: Instant): number {
  const member = claimant(group, claim)
  restartSession(group, member, at)
  if (!mustJoinAgain(group, member)) return ErrorCode.NONE
  askToJoin(group, member, at)
  return ErrorCode.REBALANCE_IN_PROGRESS
}

/** There is a newer assignment, something to let go of, or something that has become free. */
function mustJoinAgain(group: ConsumerState, { memberId, standing, target, isReconciled }: ConsumerMember): boolean {
  if (standing.epoch < group.assignmentEpoch || standing.revoking.size > 0) return true
  if (isReconciled) return false
  const missing = without(target, standing.assigned)
  const free = onlyThose(missing, (topicId, partition) => group.owners.isFreeFor(memberId, topicId, partition))
  return free.size > 0
}

function askToJoin(group: ConsumerState, member: ConsumerMember, at: Instant): void {
  member.joinDeadline ??= at.monotonicMs + member.profile.rebalanceTimeoutMs
  wakeBy(group, member.joinDeadline)
}
