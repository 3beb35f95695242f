/**
 * Who reads what, decided by the member that leads a classic group. An assignor is a pure function of what the members
 * said and of how many partitions topics have, so that any member can lead, whatever its language.
 */
import type { MemberSubscription } from '../../protocol/messages/consumer-protocol.ts'
import type { TopicPartition } from './topic-partition.ts'

export interface GroupMember {
  memberId: string
  groupInstanceId: string | null
  subscription: MemberSubscription
}

export interface Assignor {
  /** As the group knows it: members agree on a name. */
  readonly name: string
  /**
   * A cooperative assignor never gives a partition to a new owner before the old one has let go of it, so that members
   * need not give up what they keep.
   */
  readonly isCooperative: boolean
  /** For the leader, in later rounds: what a member says besides topics and owned partitions. */
  userData?(generationId: number): Uint8Array
  /** An entry for each member. Topics that do not exist are not in `partitionCounts`. */
  assign(members: readonly GroupMember[], partitionCounts: ReadonlyMap<string, number>): Map<string, TopicPartition[]>
}

/** Static members by their instance id first, then the others by their id: an order that restarts do not change. */
export function inOrder(members: readonly GroupMember[]): GroupMember[] {
  return [...members].sort((a, b) => {
    if ((a.groupInstanceId === null) !== (b.groupInstanceId === null)) return a.groupInstanceId === null ? 1 : -1
    const [one, other] = [a.groupInstanceId ?? a.memberId, b.groupInstanceId ?? b.memberId]
    return one < other ? -1 : one > other ? 1 : 0
  })
}

/** The topics that anybody wants and that exist, sorted. */
export function wantedTopics(members: readonly GroupMember[], partitionCounts: ReadonlyMap<string, number>): string[] {
  const wanted = new Set(members.flatMap(({ subscription }) => subscription.topics))
  return [...wanted].filter((topic) => partitionCounts.has(topic)).sort()
}
