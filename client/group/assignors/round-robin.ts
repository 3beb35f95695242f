/** All partitions of all topics in a row, dealt out one by one to the members that read the topic. */
import { type Assignor, inOrder, wantedTopics } from '../assignor.ts'
import type { TopicPartition } from '../topic-partition.ts'

/** kafkajs knows only this way of dealing, and by a name of its own. */
export const roundRobin = dealer('roundrobin')
export const roundRobinOfKafkajs = dealer('RoundRobinAssigner')

function dealer(name: string): Assignor {
  return {
    name,
    isCooperative: false,
    assign(members, partitionCounts) {
      const order = inOrder(members)
      const parts = new Map<string, TopicPartition[]>(members.map(({ memberId }) => [memberId, []]))
      let turn = 0
      for (const topic of wantedTopics(members, partitionCounts)) {
        for (let partition = 0; partition < partitionCounts.get(topic)!; partition++) {
          while (!order[turn % order.length]!.subscription.topics.includes(topic)) turn++
          parts.get(order[turn++ % order.length]!.memberId)!.push({ topic, partition })
        }
      }
      return parts
    },
  }
}
