/**
 * Even, with as few moves as that takes, in two steps: a partition that moves is first taken from its old owner, and is
 * given to the new one in the rebalance after that. Members therefore read on all the time what they keep.
 *
 * Interoperates with the assignor of this name in Java and librdkafka: what a member owned, and in which generation, is in
 * its subscription (version 2 and later), and the generation in its user data as well (INT32) for readers of older ones.
 */
import { Writer } from '../../../protocol/bytes/writer.ts'
import { type Assignor, type GroupMember, inOrder, wantedTopics } from '../assignor.ts'
import { flatten, keyOf, type TopicPartition, without } from '../topic-partition.ts'
import { balance } from './sticky-balance.ts'

const USER_DATA_BYTES = 4

export const cooperativeSticky: Assignor = {
  name: 'cooperative-sticky',
  isCooperative: true,
  userData(generationId) {
    const writer = new Writer(USER_DATA_BYTES)
    writer.int32(generationId)
    return writer.finish()
  },
  assign(members, partitionCounts) {
    const topics = new Set(wantedTopics(members, partitionCounts))
    const partitions = [...topics].flatMap((topic) =>
      Array.from({ length: partitionCounts.get(topic)! }, (_, partition) => ({ topic, partition })),
    )
    const existing = new Set(partitions.map(keyOf))
    const claims = validClaims(members, existing)
    const readers = inOrder(members).map(({ memberId, subscription }) => ({
      id: memberId,
      topics: new Set(subscription.topics.filter((topic) => topics.has(topic))),
      owned: claims.get(memberId)!,
    }))
    return withholdMoves(balance(readers, partitions), claims)
  },
}

/** Of two that say they own a partition the one in the later generation does; in the same generation, neither. */
function validClaims(members: readonly GroupMember[], existing: ReadonlySet<string>): Map<string, TopicPartition[]> {
  const owners = new Map<string, { memberId: string | null; generationId: number; at: TopicPartition }>()
  for (const { memberId, subscription } of members) {
    const generationId = generationOf(subscription)
    for (const at of flatten(subscription.ownedPartitions)) {
      if (!existing.has(keyOf(at)) || !subscription.topics.includes(at.topic)) continue
      const rival = owners.get(keyOf(at))
      if (rival && rival.generationId > generationId) continue
      const isContested = rival?.generationId === generationId
      owners.set(keyOf(at), { memberId: isContested ? null : memberId, generationId, at })
    }
  }
  const claims = new Map<string, TopicPartition[]>(members.map(({ memberId }) => [memberId, []]))
  for (const { memberId, at } of owners.values()) if (memberId !== null) claims.get(memberId)!.push(at)
  return claims
}

function generationOf({ generationId, userData }: GroupMember['subscription']): number {
  if (generationId >= 0 || !userData || userData.length < USER_DATA_BYTES) return generationId
  return new DataView(userData.buffer, userData.byteOffset).getInt32(0)
}

/** Partitions that somebody else still holds are left out for now; their holders let go and ask again. */
function withholdMoves(
  target: ReadonlyMap<string, TopicPartition[]>,
  claims: ReadonlyMap<string, readonly TopicPartition[]>,
): Map<string, TopicPartition[]> {
  const holders = new Map([...claims].flatMap(([memberId, owned]) => owned.map((at) => [keyOf(at), memberId] as const)))
  return new Map(
    [...target].map(([memberId, parts]) => {
      const isHeldByAnother = (at: TopicPartition) => (holders.get(keyOf(at)) ?? memberId) !== memberId
      return [memberId, without(parts, parts.filter(isHeldByAnother))]
    }),
  )
}
