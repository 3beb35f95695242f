/** The part of a classic group's leader: what all members said in, what each is to read out. */
import { MalformedError } from '../../protocol/bytes/reader.ts'
import {
  decodeSubscription,
  encodeAssignment,
  encodeSubscription,
  type MemberSubscription,
} from '../../protocol/messages/consumer-protocol.ts'
import { OttlaError } from '../errors.ts'
import type { Session } from '../session.ts'
import type { Assignor, GroupMember } from './assignor.ts'
import type { Joined } from './classic-requests.ts'
import { groupByTopic, type TopicPartition } from './topic-partition.ts'

/** Every client reads it; later versions say the same. */
const ASSIGNMENT_VERSION = 0

const NOTHING: MemberSubscription = { topics: [], userData: null, ownedPartitions: [], generationId: -1, rackId: null }

/** What this member says of itself, once for each assignor that it knows. */
export function subscriptionsFor(
  assignors: readonly Assignor[],
  topics: readonly string[],
  owned: readonly TopicPartition[],
  generationId: number,
): Array<{ name: string; metadata: Uint8Array }> {
  return assignors.map((assignor) => ({
    name: assignor.name,
    metadata: encodeSubscription({
      topics,
      userData: assignor.userData?.(generationId) ?? null,
      ownedPartitions: groupByTopic(owned),
      generationId,
    }),
  }))
}

export interface LeadersWork {
  assignments: Array<{ memberId: string; assignment: Uint8Array }>
  /** What it was worked out from: when this changes it must be done again. */
  partitionCounts: Map<string, number>
}

export async function assignAll(session: Session, assignor: Assignor, joined: Joined): Promise<LeadersWork> {
  const members = joined.members.map(({ memberId, groupInstanceId, metadata }): GroupMember => {
    return { memberId, groupInstanceId, subscription: subscriptionIn(metadata) }
  })
  const topics = new Set(members.flatMap(({ subscription }) => subscription.topics))
  const partitionCounts = await countPartitions(session, [...topics])
  const parts = assignor.assign(members, new Map([...partitionCounts].filter(([, count]) => count > 0)))
  const assignments = members.map(({ memberId }) => ({
    memberId,
    assignment: encodeAssignment(
      { assignedPartitions: groupByTopic(parts.get(memberId) ?? []), userData: null },
      ASSIGNMENT_VERSION,
    ),
  }))
  return { assignments, partitionCounts }
}

/** Topics that are not there count zero partitions, so that their coming is a change. */
export async function countPartitions(session: Session, topics: readonly string[]): Promise<Map<string, number>> {
  if (topics.length === 0) return new Map()
  const found = await session.metadata.refresh(topics)
  const counts = new Map(found.map(({ name, partitionCount }) => [name, partitionCount]))
  return new Map(topics.map((topic) => [topic, counts.get(topic) ?? 0]))
}

/** A member that says what nobody understands reads nothing, and holds nobody up. */
function subscriptionIn(metadata: Uint8Array): MemberSubscription {
  try {
    return decodeSubscription(metadata)
  } catch (error) {
    if (error instanceof MalformedError) return NOTHING
    throw error
  }
}

export function assignorNamed(assignors: readonly Assignor[], name: string): Assignor {
  const found = assignors.find((assignor) => assignor.name === name)
  if (found) return found
  throw new OttlaError('PROTOCOL', {
    message: `the group chose the assignor '${name}', which this consumer never named`,
  })
}
