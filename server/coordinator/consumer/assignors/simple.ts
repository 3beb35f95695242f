/**
 * Simple, of share groups: every partition has a reader, and every reader a partition. Members that read the same topics
 * share these among themselves, whoever else reads some of them:
 *
 *   as many partitions as members, or more   each partition has one reader, and all have as many, give or take one
 *   fewer                                    each member reads one partition, and all have as many readers, give or take one
 *
 * Who has something keeps it, as far as that is even.
 */
import { eachOf } from '../partitions.ts'
import { type Assignor, type Candidate, Shares } from './assignor.ts'

type TopicPartition = readonly [topicId: string, partition: number]

const keyOf = ([topicId, partition]: TopicPartition) => `${topicId}/${partition}`

export const simple: Assignor = (subscribers, partitionCounts) => {
  const shares = new Shares()
  for (const { topicIds, members } of subscribers) {
    const partitions: TopicPartition[] = []
    for (const topicId of topicIds)
      for (let partition = 0; partition < (partitionCounts.get(topicId) ?? 0); partition++)
        partitions.push([topicId, partition])
    if (partitions.length === 0 || members.length === 0) continue
    if (partitions.length >= members.length) giveEachPartition(partitions, members, shares)
    else giveEachMember(partitions, members, shares)
  }
  return shares.finish()
}

/** One reader for each partition. */
function giveEachPartition(partitions: readonly TopicPartition[], members: readonly Candidate[], shares: Shares): void {
  const free = new Map(partitions.map((each) => [keyOf(each), each]))
  const quotas = quotasOf(partitions.length, members)
  for (const member of members) {
    for (const at of eachOf(member.target)) {
      const key = keyOf(at)
      if (quotas.left(member.memberId) <= 0 || !free.delete(key)) continue
      quotas.take(member.memberId)
      shares.add(member.memberId, ...at)
    }
  }
  const rest = [...free.values()]
  for (const { memberId } of members)
    for (; rest.length > 0 && quotas.left(memberId) > 0; quotas.take(memberId)) shares.add(memberId, ...rest.pop()!)
}

/** One partition for each member. */
function giveEachMember(partitions: readonly TopicPartition[], members: readonly Candidate[], shares: Shares): void {
  const known = new Map(partitions.map((each) => [keyOf(each), each]))
  const quotas = quotasOf(
    members.length,
    partitions.map((each) => ({ memberId: keyOf(each) })),
  )
  const moving: Candidate[] = []
  for (const member of members) {
    const kept = [...eachOf(member.target)].find((at) => known.has(keyOf(at)) && quotas.left(keyOf(at)) > 0)
    if (!kept) moving.push(member)
    else {
      quotas.take(keyOf(kept))
      shares.add(member.memberId, ...kept)
    }
  }
  for (const [key, at] of known)
    for (; moving.length > 0 && quotas.left(key) > 0; quotas.take(key)) shares.add(moving.pop()!.memberId, ...at)
}

/**
 * How many of `count` things each holder may have: all the same number, and as many as the division leaves one more.
 * Who takes first gets those.
 */
function quotasOf(count: number, holders: ReadonlyArray<{ memberId: string }>) {
  const base = Math.floor(count / holders.length)
  let extra = count % holders.length
  const taken = new Map<string, number>()
  return {
    left: (holder: string): number => base + (extra > 0 ? 1 : 0) - (taken.get(holder) ?? 0),
    take(holder: string): void {
      const has = (taken.get(holder) ?? 0) + 1
      taken.set(holder, has)
      if (has > base) extra--
    },
  }
}
