/** Who leads partitions and where their copies lie. A relay leads all of its own, and has one copy of each. */
import { type AdminDriver, type AdminOptions, verdict } from './driver.ts'
import { type PerEntry, perEntry } from './outcomes.ts'
import { answersByPartition, byTopic, keyOf, type TopicPartition } from './topic-partitions.ts'

const ELECTIONS = { preferred: 0, unclean: 1 } as const

/** 'preferred': the first replica leads again. 'unclean': any that is left, though records may be lost. */
export type ElectionType = keyof typeof ELECTIONS

/** Rejects RELAY with kafkaCode 84 where nothing needs to be elected. */
export function electLeaders(
  driver: AdminDriver,
  type: ElectionType,
  partitions: readonly TopicPartition[],
  options: AdminOptions = {},
): PerEntry<TopicPartition, TopicPartition> {
  const run = driver.run(options)
  return run.each<TopicPartition, TopicPartition>({
    entries: partitions,
    where: () => 'controller',
    doing: ({ topic, partition }) => `electing a leader for ${topic}-${partition}`,
    isChange: true,
    async ask(entries, ask) {
      const topicPartitions = [...byTopic(entries)].map(([topic, group]) => ({
        topic,
        partitions: group.map(({ partition }) => partition),
      }))
      const answer = await ask('ElectLeaders', {
        electionType: ELECTIONS[type],
        topicPartitions,
        timeoutMs: run.leftMs,
      })
      const { errorCode, replicaElectionResults } = answer
      const topics = replicaElectionResults.map(({ topic, partitionResult }) => {
        return { name: topic, partitions: partitionResult }
      })
      const found = answersByPartition(topics, ({ partitionId }) => partitionId)
      return entries.map((entry) => (errorCode === 0 ? verdict(found.get(keyOf(entry)), () => entry) : { errorCode }))
    },
  })
}

export interface Reassignment extends TopicPartition {
  /** Broker ids, the preferred leader first; null takes a reassignment back that is under way. */
  replicas: readonly number[] | null
}

export function alterPartitionReassignments(
  driver: AdminDriver,
  reassignments: readonly Reassignment[],
  options: AdminOptions = {},
): PerEntry<Reassignment, Reassignment> {
  const run = driver.run(options)
  return run.each<Reassignment, Reassignment>({
    entries: reassignments,
    where: () => 'controller',
    doing: ({ topic, partition }) => `reassigning ${topic}-${partition}`,
    isChange: true,
    async ask(entries, ask) {
      const topics = [...byTopic(entries)].map(([name, group]) => ({
        name,
        partitions: group.map(({ partition, replicas }) => ({ partitionIndex: partition, replicas })),
      }))
      const answer = await ask('AlterPartitionReassignments', { topics, timeoutMs: run.leftMs })
      const { errorCode, errorMessage, responses } = answer
      const found = answersByPartition(responses, ({ partitionIndex }) => partitionIndex)
      return entries.map((entry) =>
        errorCode === 0 ? verdict(found.get(keyOf(entry)), () => entry) : { errorCode, errorMessage },
      )
    },
  })
}

export interface OngoingReassignment extends TopicPartition {
  replicas: readonly number[]
  adding: readonly number[]
  removing: readonly number[]
}

/** Default: all that are under way. */
export function listPartitionReassignments(
  driver: AdminDriver,
  partitions?: readonly TopicPartition[],
  options: AdminOptions = {},
): PerEntry<TopicPartition, OngoingReassignment> {
  const run = driver.run(options)
  const topics = partitions
    ? [...byTopic(partitions)].map(([name, group]) => ({
        name,
        partitionIndexes: group.map(({ partition }) => partition),
      }))
    : null
  const listed = run.one('controller', 'listing reassignments', async (ask) => {
    const answer = await ask('ListPartitionReassignments', { topics, timeoutMs: run.leftMs })
    return verdict(answer, (found) => found.topics)
  })
  return perEntry(
    listed.then((found) =>
      found.flatMap(({ name, partitions: each }) =>
        each.map(({ partitionIndex, replicas, addingReplicas, removingReplicas }) => {
          const entry = { topic: name, partition: partitionIndex }
          return { entry, value: { ...entry, replicas, adding: addingReplicas, removing: removingReplicas } }
        }),
      ),
    ),
  )
}
