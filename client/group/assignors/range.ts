/**
 * Topic by topic, each member gets a run of neighbouring partitions; the first members get one more where it does not
 * come out even. Topics with as many partitions and the same readers are divided alike, so that one member gets the same
 * numbers of all of them.
 */
import { type Assignor, inOrder, wantedTopics } from '../assignor.ts'
import type { TopicPartition } from '../topic-partition.ts'

export const range: Assignor = {
  name: 'range',
  isCooperative: false,
  assign(members, partitionCounts) {
    const parts = new Map<string, TopicPartition[]>(members.map(({ memberId }) => [memberId, []]))
    for (const topic of wantedTopics(members, partitionCounts)) {
      const readers = inOrder(members).filter(({ subscription }) => subscription.topics.includes(topic))
      const count = partitionCounts.get(topic)!
      const [share, rest] = [Math.floor(count / readers.length), count % readers.length]
      let partition = 0
      for (const [index, { memberId }] of readers.entries()) {
        const end = partition + share + (index < rest ? 1 : 0)
        for (; partition < end; partition++) parts.get(memberId)!.push({ topic, partition })
      }
    }
    return parts
  },
}
