/** OffsetFetch and OffsetCommit for one group: topics by name and by id, whichever the version asks for. */
import { NULL_UUID } from '../../protocol/lib/uuid.ts'
import { offsetCommit, offsetFetch } from '../../protocol/messages/group-offsets.ts'
import { kafkaFailure } from '../kafka-failure.ts'
import type { Session } from '../session.ts'
import { GroupRefusal, isAboutClaim } from './group-refusal.ts'
import type { MemberClaim } from './membership.ts'
import { keyOf, type TopicPartition } from './topic-partition.ts'

export interface IdentifiedPartition extends TopicPartition {
  topicId: string
}

export interface Committed {
  offset: number
  leaderEpoch: number
  metadata: string
}

/** A topic as a request names it, and as its answer is recognised. */
function byTopic<T extends IdentifiedPartition>(
  list: readonly T[],
): Array<{ name: string; topicId: string; list: T[] }> {
  const topics = new Map<string, { name: string; topicId: string; list: T[] }>()
  for (const one of list) {
    const topic = topics.get(one.topic) ?? { name: one.topic, topicId: one.topicId, list: [] }
    topic.list.push(one)
    topics.set(one.topic, topic)
  }
  return [...topics.values()]
}

const isSame = (asked: { name: string; topicId: string }, answered: { name: string; topicId: string }) =>
  answered.topicId === NULL_UUID ? answered.name === asked.name : answered.topicId === asked.topicId

/**
 * What is committed, by partition; nothing where nothing is. Rejects OttlaError, retriable while offsets are not stable, and
 * GroupRefusal when the group does not know this member, or in another epoch.
 */
export async function fetchCommitted(
  session: Session,
  groupId: string,
  claim: MemberClaim | undefined,
  partitions: readonly IdentifiedPartition[],
): Promise<Map<string, Committed>> {
  const topics = byTopic(partitions)
  const asked = topics.map(({ name, topicId, list }) => ({
    ...{ name, topicId },
    partitionIndexes: list.map(({ partition }) => partition),
  }))
  // Members of the classic protocol look up what anybody may.
  const member = claim?.protocol === 'consumer' ? { memberId: claim.memberId, memberEpoch: claim.generation } : {}
  const request = { groups: [{ groupId, ...member, topics: asked }], requireStable: true }
  const [group] = (await session.call(offsetFetch, request)).groups
  const what = `OffsetFetch of group ${groupId}`
  if (group && isAboutClaim(group.errorCode)) throw new GroupRefusal(what, group.errorCode)
  if (group?.errorCode !== 0) throw kafkaFailure(group?.errorCode ?? -1, what)
  const found = new Map<string, Committed>()
  for (const topic of topics) {
    for (const one of group.topics.find((answered) => isSame(topic, answered))?.partitions ?? []) {
      if (one.errorCode !== 0) throw kafkaFailure(one.errorCode, what)
      if (one.committedOffset < 0) continue
      found.set(keyOf({ topic: topic.name, partition: one.partitionIndex }), {
        offset: one.committedOffset,
        leaderEpoch: one.committedLeaderEpoch,
        metadata: one.metadata ?? '',
      })
    }
  }
  return found
}

/** An error code for each partition, 0 where it is committed. */
export async function commitOffsets(
  session: Session,
  groupId: string,
  claim: MemberClaim,
  offsets: ReadonlyArray<IdentifiedPartition & Committed>,
): Promise<Map<string, number>> {
  const topics = byTopic(offsets)
  const answer = await session.call(offsetCommit, {
    ...{ groupId, memberId: claim.memberId, groupInstanceId: claim.groupInstanceId },
    generationIdOrMemberEpoch: claim.generation,
    topics: topics.map(({ name, topicId, list }) => ({
      ...{ name, topicId },
      partitions: list.map(({ partition, offset, leaderEpoch, metadata }) => ({
        ...{ partitionIndex: partition, committedOffset: offset },
        ...{ committedLeaderEpoch: leaderEpoch, committedMetadata: metadata },
      })),
    })),
  })
  const codes = new Map<string, number>()
  for (const topic of topics) {
    for (const one of answer.topics.find((answered) => isSame(topic, answered))?.partitions ?? []) {
      codes.set(keyOf({ topic: topic.name, partition: one.partitionIndex }), one.errorCode)
    }
  }
  return codes
}
