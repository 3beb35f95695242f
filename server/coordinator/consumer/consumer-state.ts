/**
 * The state of one group whose members the relay assigns to, a consumer group (KIP-848) or a share group (KIP-932), and what
 * a command upon it leads to.
 *
 * Three numbers say how far things are:
 *   epoch            grows whenever members, subscriptions or their topics change
 *   assignmentEpoch  the epoch for which the target was made; all members walk towards the target, each at its own pace
 *   member epoch     the assignmentEpoch that the member has reached
 *
 * Invariants: a partition of a consumer group has one owner at most; member epochs <= assignmentEpoch <= epoch; in an empty group the latter
 * two are equal.
 */
import type { Instant } from '../group-state.ts'
import type { ConfiguredTopology } from '../streams/configured.ts'
import type { Topology } from '../streams/topology.ts'
import { type ConsumerMember, sizeOfProfile } from './member.ts'
import { PartitionOwners } from './owners.ts'
import { together } from './partitions.ts'

export type ConsumerPhase = 'Empty' | 'Assigning' | 'Reconciling' | 'Stable'

export interface ConsumerLimits {
  /** group.consumer.session.timeout.ms, unless the group has its own. */
  sessionTimeoutMs: number
  /** group.consumer.heartbeat.interval.ms, unless the group has its own. */
  heartbeatIntervalMs: number
  /** group.consumer.max.size */
  membersMax: number
  /** group.consumer.assignors, the first is the default. */
  assignors: readonly string[]
  /** A group whose last members all speak the classic protocol goes on with it, unless they are more; 0: never. */
  downgradedMembersMax: number
}

/** What all members of a group may say of themselves together. */
export const CONSUMER_GROUP_BYTES_MAX = 16 * 1024 * 1024
/** Different subscriptions by regular expression in one group: each is matched with every topic. */
export const PATTERNS_MAX = 64

/** The topics that a regular expression matches, when `topicsVersion` was what it says. */
export interface ResolvedPattern {
  readonly regex: string
  /** Sorted. */
  readonly names: readonly string[]
  readonly topicsVersion: number
}

/** Streams groups share out tasks (KIP-1071), by parts of a topology in the place of topics. In share groups partitions have any number of readers, and nothing is let go of before others get it. */
export type AssignedType = 'consumer' | 'share' | 'streams'

export interface ConsumerState {
  readonly type: AssignedType
  readonly groupId: string
  epoch: number
  assignmentEpoch: number
  /** Wall clock: since when it has had no members, or has had some. */
  sinceMs: number
  readonly members: Map<string, ConsumerMember>
  /** Member id by group instance id. */
  readonly staticMembers: Map<string, string>
  readonly owners: PartitionOwners
  readonly patterns: Map<string, ResolvedPattern>
  /** Partitions of each topic that the target was made for, and all of them together. */
  targeted: ReadonlyMap<string, number>
  targetedCount: number
  /** For which `targeted` was last compared with the topics there are. */
  topicsVersion: number
  /** A large group is not assigned anew with each of many changes. */
  assignNotBefore: number
  profileBytes: number
  /** Of a streams group: what it runs, and how far there are topics for it. */
  topology: Topology | null
  configured: ConfiguredTopology | undefined
  /** Another number after what can be queried where has changed. */
  endpointEpoch: number
  /** Nothing happens by itself before. */
  wakeAt: number
}

/** What the target is made by. */
export type AssignmentLimits = Pick<ConsumerLimits, 'assignors'>

/** What of the state a command has changed, and must be written. */
export class Changes {
  hasGroup = false
  hasNewEpoch = false
  hasTopology = false
  readonly removed = new Set<string>()
  readonly profiles = new Set<string>()
  readonly targets = new Set<string>()
  readonly standings = new Set<string>()
}

/** `epoch`: the newest generation that was given out under this name, by whatever protocol. */
export function newConsumerState(
  groupId: string,
  at: Instant,
  type: AssignedType = 'consumer',
  epoch = 0,
): ConsumerState {
  return {
    type,
    groupId,
    epoch,
    assignmentEpoch: epoch,
    sinceMs: at.wallMs,
    members: new Map(),
    staticMembers: new Map(),
    owners: new PartitionOwners(),
    patterns: new Map(),
    targeted: new Map(),
    targetedCount: 0,
    topicsVersion: -1,
    assignNotBefore: Number.NEGATIVE_INFINITY,
    profileBytes: 0,
    topology: null,
    configured: undefined,
    endpointEpoch: 0,
    wakeAt: Number.POSITIVE_INFINITY,
  }
}

/** Something has changed that asks for a new target; one command makes one new epoch at most. */
export function bumpEpoch(group: ConsumerState, changes: Changes): void {
  if (!changes.hasNewEpoch) group.epoch++
  changes.hasNewEpoch = true
  changes.hasGroup = true
}

export function setTargeted(group: ConsumerState, targeted: ReadonlyMap<string, number>): void {
  group.targeted = targeted
  group.targetedCount = 0
  for (const count of targeted.values()) group.targetedCount += count
}

export function wakeBy(group: ConsumerState, deadline: number): void {
  group.wakeAt = Math.min(group.wakeAt, deadline)
}

export function phaseOf(group: ConsumerState): ConsumerPhase {
  if (group.members.size === 0) return 'Empty'
  if (group.epoch > group.assignmentEpoch) return 'Assigning'
  for (const { isReconciled, standing } of group.members.values()) {
    if (!isReconciled || standing.epoch !== group.assignmentEpoch) return 'Reconciling'
  }
  return 'Stable'
}

/** Takes a member out of all books. That calls for a new epoch, unless another takes its place. */
export function removeMember(group: ConsumerState, member: ConsumerMember, changes: Changes): void {
  const { memberId, profile, standing } = member
  group.members.delete(memberId)
  group.profileBytes -= sizeOfProfile(memberId, profile)
  if (profile.instanceId !== null && group.staticMembers.get(profile.instanceId) === memberId)
    group.staticMembers.delete(profile.instanceId)
  group.owners.release(memberId, together(standing.assigned, standing.revoking))
  for (const set of [changes.profiles, changes.targets, changes.standings]) set.delete(memberId)
  changes.removed.add(memberId)
}
