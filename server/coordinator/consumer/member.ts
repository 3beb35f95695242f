/**
 * One member of a consumer group: what it told of itself, what it shall read (the target) and what it may read by now.
 *
 *     target ──reconcile──> assigned ─┬─ told to the member
 *                           revoking ─┘  until the member says that it has let go
 *
 * Times are the caller's monotonic milliseconds.
 */

import { STATIC_LEAVE_EPOCH } from '../../../protocol/messages/consumer-groups.ts'
import { hasSameProtocols, type MemberProtocol } from '../group-member.ts'
import { NO_PARTITIONS, type Partitions } from './partitions.ts'

/** What a member says of itself. Names are sorted, each once. */
export interface Profile {
  readonly instanceId: string | null
  readonly rackId: string | null
  readonly clientId: string
  readonly clientHost: string
  readonly rebalanceTimeoutMs: number
  readonly subscribedNames: readonly string[]
  readonly subscribedRegex: string | null
  readonly serverAssignor: string | null
  /** Of a member that speaks the classic protocol. */
  readonly classic: ClassicSide | null
  /** Of a member of a streams group. */
  readonly streams?: StreamsSide
}

export interface StreamsSide {
  readonly topologyEpoch: number
  /** Members of one process say the same. */
  readonly processId: string
  /** Where its state can be queried. */
  readonly userEndpoint: { host: string; port: number } | null
  readonly clientTags: ReadonlyArray<{ key: string; value: string }>
}

export interface ClassicSide {
  readonly sessionTimeoutMs: number
  /** In the member's order of preference; all say the same. */
  readonly protocols: readonly MemberProtocol[]
}

/** What a member has. */
export interface Standing {
  /** STATIC_LEAVE_EPOCH while a static member is away. */
  readonly epoch: number
  /** A member that comes with this one has not heard of the newer. */
  readonly previousEpoch: number
  readonly assigned: Partitions
  readonly revoking: Partitions
}

export interface ConsumerMember {
  readonly memberId: string
  profile: Profile
  standing: Standing
  target: Partitions
  /** It has all of its target of the newest assignment. */
  isReconciled: boolean
  sessionDeadline: number
  /** By when it must have let go of what it was told to. Members of the classic protocol have the next two instead. */
  revocationDeadline: number | undefined
  /** By when it must have joined again, after it was told to. */
  joinDeadline: number | undefined
  /** By when it must have asked for its assignment, after it has joined. */
  syncDeadline: number | undefined
}

/** When it is out, if nothing is heard of it until then. */
export function deadlineOf(member: ConsumerMember): number {
  const { sessionDeadline, revocationDeadline, joinDeadline, syncDeadline } = member
  const never = Number.POSITIVE_INFINITY
  return Math.min(sessionDeadline, revocationDeadline ?? never, joinDeadline ?? never, syncDeadline ?? never)
}

export const NEWCOMER: Standing = { epoch: 0, previousEpoch: 0, assigned: NO_PARTITIONS, revoking: NO_PARTITIONS }

export function newMember(memberId: string, profile: Profile, standing: Standing = NEWCOMER): ConsumerMember {
  return {
    ...{ memberId, profile, standing },
    target: NO_PARTITIONS,
    isReconciled: false,
    sessionDeadline: Number.POSITIVE_INFINITY,
    revocationDeadline: undefined,
    joinDeadline: undefined,
    syncDeadline: undefined,
  }
}

export const isAway = ({ standing }: ConsumerMember): boolean => standing.epoch === STATIC_LEAVE_EPOCH

export function isSameSubscription(a: Profile, b: Profile): boolean {
  if (a.subscribedRegex !== b.subscribedRegex || a.subscribedNames.length !== b.subscribedNames.length) return false
  return a.subscribedNames.every((name, index) => name === b.subscribedNames[index])
}

export function isSameProfile(a: Profile, b: Profile): boolean {
  return (
    isSameSubscription(a, b) &&
    a.instanceId === b.instanceId &&
    a.rackId === b.rackId &&
    a.clientId === b.clientId &&
    a.clientHost === b.clientHost &&
    a.rebalanceTimeoutMs === b.rebalanceTimeoutMs &&
    a.serverAssignor === b.serverAssignor &&
    isSameSide(a.classic, b.classic) &&
    JSON.stringify(a.streams) === JSON.stringify(b.streams)
  )
}

function isSameSide(a: ClassicSide | null, b: ClassicSide | null): boolean {
  if (a === null || b === null) return a === b
  return a.sessionTimeoutMs === b.sessionTimeoutMs && hasSameProtocols(a, b.protocols)
}

/** Characters that JSON writes with six bytes are the worst case. */
const BYTES_PER_CHARACTER_MAX = 6
const BYTES_PER_MEMBER = 512
const BYTES_PER_NAME = 16

/** About what it takes to keep what a member says of itself; never less. */
export function sizeOfProfile(memberId: string, profile: Profile): number {
  const { instanceId, rackId, clientId, clientHost, subscribedNames, subscribedRegex, serverAssignor, classic } =
    profile
  let characters = clientId.length + clientHost.length
  for (const text of [instanceId, rackId, serverAssignor]) characters += text?.length ?? 0
  let bytes = 0
  for (const { name, metadata } of classic?.protocols ?? []) {
    characters += name.length
    bytes += metadata.length * 2
  }
  if (profile.streams) bytes += JSON.stringify(profile.streams).length * 2
  return sizeOfSubscription(memberId, subscribedNames, subscribedRegex) + characters * BYTES_PER_CHARACTER_MAX + bytes
}

export function sizeOfSubscription(memberId: string, names: readonly string[], regex: string | null): number {
  let characters = memberId.length + (regex?.length ?? 0)
  for (const name of names) characters += name.length
  return BYTES_PER_MEMBER + names.length * BYTES_PER_NAME + characters * BYTES_PER_CHARACTER_MAX
}
