/**
 * Who may speak for a member, join, come back and leave.
 *
 * Everything that can be refused is refused before anything is changed: these functions throw KafkaError and leave the
 * group as it was.
 */
import { KafkaError } from '../../../protocol/errors.ts'
import { JOIN_EPOCH, STATIC_LEAVE_EPOCH } from '../../../protocol/messages/consumer-groups.ts'
import {
  bumpEpoch,
  type Changes,
  CONSUMER_GROUP_BYTES_MAX,
  type ConsumerLimits,
  type ConsumerState,
  PATTERNS_MAX,
  removeMember,
} from './consumer-state.ts'
import {
  type ConsumerMember,
  isAway,
  isSameProfile,
  isSameSubscription,
  NEWCOMER,
  newMember,
  type Profile,
  sizeOfProfile,
} from './member.ts'
import { isPartOf, NO_PARTITIONS, type Partitions } from './partitions.ts'
import { stand } from './reconcile.ts'

/** What one heartbeat says. null: as before. */
export interface HeartbeatCommand {
  memberId: string
  /** 0 joins. */
  memberEpoch: number
  instanceId: string | null
  rackId: string | null
  clientId: string
  clientHost: string
  rebalanceTimeoutMs: number | null
  subscribedNames: readonly string[] | null
  /** Empty: none any more. */
  subscribedRegex: string | null
  serverAssignor: string | null
  owned: Partitions | null
}

/** Who sends this heartbeat: nobody yet, a member, or a process that takes the place of a static member that is away. */
export interface Sender {
  member: ConsumerMember | undefined
  replaced: ConsumerMember | undefined
}

export function findSender(group: ConsumerState, command: HeartbeatCommand): Sender {
  const { memberId, memberEpoch, instanceId } = command
  const known = group.members.get(memberId)
  if (instanceId !== null) {
    const holder = group.members.get(group.staticMembers.get(instanceId) ?? '')
    if (memberEpoch === JOIN_EPOCH && holder?.memberId !== memberId) {
      if (known) throw new KafkaError('INVALID_REQUEST', `member ${memberId} has joined under another instance id`)
      // A process of the classic protocol does not say that it leaves for a while.
      if (holder && !isAway(holder) && !holder.profile.classic)
        throw new KafkaError('UNRELEASED_INSTANCE_ID', `${instanceId} is in use by member ${holder.memberId}`)
      return { member: undefined, replaced: holder }
    }
    checkHolder(holder, memberId, instanceId)
  }
  if (!known) {
    if (memberEpoch === JOIN_EPOCH) return { member: undefined, replaced: undefined }
    throw new KafkaError('UNKNOWN_MEMBER_ID', `group ${group.groupId} has no member ${memberId}`)
  }
  checkEpoch(known, memberEpoch, command.owned)
  return { member: known, replaced: undefined }
}

/** Throws KafkaError unless this member is the static member that the instance id belongs to. */
export function checkHolder(holder: ConsumerMember | undefined, memberId: string, instanceId: string): void {
  if (!holder) throw new KafkaError('UNKNOWN_MEMBER_ID', `no member has the instance id ${instanceId}`)
  if (holder.memberId !== memberId)
    throw new KafkaError('FENCED_INSTANCE_ID', `${instanceId} belongs to member ${holder.memberId} now`)
}

function checkEpoch({ memberId, standing }: ConsumerMember, epoch: number, owned: Partitions | null): void {
  if (epoch === JOIN_EPOCH || epoch === standing.epoch) return
  // The answer that told of the newer epoch may have been lost. What it took from the member would be in use then.
  const isBehind = epoch === standing.previousEpoch && owned !== null && isPartOf(owned, standing.assigned)
  if (!isBehind)
    throw new KafkaError('FENCED_MEMBER_EPOCH', `member ${memberId} has epoch ${standing.epoch}, not ${epoch}`)
}

/** Makes the member what it says it is. */
export function admit(
  group: ConsumerState,
  memberId: string,
  { member, replaced }: Sender,
  profile: Profile,
  limits: Pick<ConsumerLimits, 'membersMax'>,
  changes: Changes,
): ConsumerMember {
  const before = member ?? replaced
  checkRoom(group, memberId, profile, before, limits)
  // Who reads nothing changes nothing for the others.
  const isUnchanged = before
    ? isSameSubscription(before.profile, profile)
    : group.epoch > 0 && profile.subscribedRegex === null && profile.subscribedNames.length === 0
  const admitted = member ?? enter(group, memberId, profile, replaced, changes)
  if (!member || !isSameProfile(member.profile, profile)) {
    group.profileBytes += sizeOfProfile(admitted.memberId, profile)
    if (member) group.profileBytes -= sizeOfProfile(member.memberId, member.profile)
    admitted.profile = profile
    changes.profiles.add(admitted.memberId)
  }
  if (!isUnchanged) {
    forgetUnusedPatterns(group)
    bumpEpoch(group, changes)
  }
  return admitted
}

export function profileOf(command: HeartbeatCommand, before: Profile | undefined): Profile {
  const { instanceId, rackId, clientId, clientHost, rebalanceTimeoutMs, subscribedRegex, serverAssignor } = command
  // Texts come out of a request's bytes, names mostly the same ones again.
  const names = command.subscribedNames && [...new Set(command.subscribedNames)].sort()
  return {
    instanceId: instanceId ?? before?.instanceId ?? null,
    rackId: rackId ?? before?.rackId ?? null,
    ...{ clientId, clientHost },
    rebalanceTimeoutMs: rebalanceTimeoutMs ?? before?.rebalanceTimeoutMs ?? 0,
    subscribedNames: names ?? before?.subscribedNames ?? [],
    subscribedRegex: subscribedRegex === '' ? null : (subscribedRegex ?? before?.subscribedRegex ?? null),
    serverAssignor: serverAssignor ?? before?.serverAssignor ?? null,
    classic: null,
  }
}

function checkRoom(
  group: ConsumerState,
  memberId: string,
  profile: Profile,
  before: ConsumerMember | undefined,
  { membersMax }: Pick<ConsumerLimits, 'membersMax'>,
): void {
  const refuse = (reason: string) => new KafkaError('GROUP_MAX_SIZE_REACHED', `group ${group.groupId} ${reason}`)
  if (!before && group.members.size >= membersMax) throw refuse(`has ${membersMax} members already`)
  if (before && isSameProfile(before.profile, profile)) return
  const bytes = group.profileBytes + sizeOfProfile(memberId, profile)
  if (bytes - (before ? sizeOfProfile(before.memberId, before.profile) : 0) > CONSUMER_GROUP_BYTES_MAX)
    throw refuse(`has no room for what member ${memberId} subscribes to`)
  if (profile.subscribedRegex === null) return
  const patterns = new Set([subscriptionKey(profile)])
  for (const other of group.members.values()) {
    if (other !== before && other.profile.subscribedRegex !== null) patterns.add(subscriptionKey(other.profile))
  }
  if (patterns.size > PATTERNS_MAX)
    throw refuse(`has ${PATTERNS_MAX} different subscriptions by regular expression already`)
}

const subscriptionKey = ({ subscribedRegex, subscribedNames }: Profile) =>
  JSON.stringify([subscribedRegex, subscribedNames])

/** A new member; or one that goes on with all that the static member had which it replaces. */
function enter(
  group: ConsumerState,
  memberId: string,
  profile: Profile,
  replaced: ConsumerMember | undefined,
  changes: Changes,
): ConsumerMember {
  const member = newMember(memberId, profile)
  if (replaced) {
    removeMember(group, replaced, changes)
    member.target = replaced.target
    changes.targets.add(memberId)
    stand(group, member, { ...NEWCOMER, assigned: replaced.standing.assigned }, changes)
  }
  changes.removed.delete(memberId)
  group.members.set(memberId, member)
  if (profile.instanceId !== null) group.staticMembers.set(profile.instanceId, memberId)
  changes.standings.add(memberId)
  return member
}

export function forgetUnusedPatterns(group: ConsumerState): void {
  if (group.patterns.size === 0) return
  const used = new Set<string>()
  for (const { profile } of group.members.values())
    if (profile.subscribedRegex !== null) used.add(profile.subscribedRegex)
  for (const regex of group.patterns.keys()) if (!used.has(regex)) group.patterns.delete(regex)
}

/** The member that leaves: gone, or, when it is static and says that it will be back, away. */
export function leave(
  group: ConsumerState,
  { memberId, memberEpoch, instanceId }: Pick<HeartbeatCommand, 'memberId' | 'memberEpoch' | 'instanceId'>,
  changes: Changes,
): void {
  const member = group.members.get(memberId)
  if (instanceId !== null)
    checkHolder(group.members.get(group.staticMembers.get(instanceId) ?? ''), memberId, instanceId)
  if (!member) throw new KafkaError('UNKNOWN_MEMBER_ID', `group ${group.groupId} has no member ${memberId}`)
  if (memberEpoch !== STATIC_LEAVE_EPOCH) return removeMember(group, member, changes)
  member.revocationDeadline = undefined
  member.isReconciled = false
  const { assigned } = member.standing
  stand(group, member, { epoch: STATIC_LEAVE_EPOCH, previousEpoch: 0, assigned, revoking: NO_PARTITIONS }, changes)
}
