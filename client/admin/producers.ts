/** Who writes to partitions: the idempotent and transactional producers that their logs remember. */
import { type AdminDriver, type AdminOptions, verdict } from './driver.ts'
import { type PerEntry, perEntry } from './outcomes.ts'
import { answersByPartition, byTopic, keyOf, type TopicPartition } from './topic-partitions.ts'

export interface ProducerState extends TopicPartition {
  producerId: number
  producerEpoch: number
  /** -1: none. */
  lastSequence: number
  lastTimestamp: number
  /** -1: it never ended a transaction here. */
  coordinatorEpoch: number
  /** Where its open transaction begins; -1: none is open. */
  currentTransactionStart: number
}

export interface PartitionProducers extends TopicPartition {
  producers: ProducerState[]
}

/** Awaited, the producers of all partitions in one list; `settled()` gives them partition by partition. */
export function describeProducers(
  driver: AdminDriver,
  partitions: readonly TopicPartition[],
  options: AdminOptions = {},
): PerEntry<TopicPartition, PartitionProducers, ProducerState[]> {
  const each = driver.run(options).each<TopicPartition, PartitionProducers>({
    entries: partitions,
    where: (leader) => ({ leader }),
    doing: ({ topic, partition }) => `describing producers of ${topic}-${partition}`,
    async ask(entries, ask) {
      const topics = [...byTopic(entries)].map(([name, group]) => ({
        name,
        partitionIndexes: group.map(({ partition }) => partition),
      }))
      const answer = await ask('DescribeProducers', { topics })
      const found = answersByPartition(answer.topics, ({ partitionIndex }) => partitionIndex)
      return entries.map(({ topic, partition }) =>
        verdict(found.get(keyOf({ topic, partition })), ({ activeProducers }) => ({
          ...{ topic, partition },
          producers: activeProducers.map(({ currentTxnStartOffset: currentTransactionStart, ...producer }) => ({
            ...{ topic, partition, ...producer },
            currentTransactionStart,
          })),
        })),
      )
    },
  })
  return perEntry(each.settled(), (described) => described.flatMap(({ producers }) => producers))
}
