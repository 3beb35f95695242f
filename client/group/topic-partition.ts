/** Partitions of several topics, as sets and in the grouped form that messages have. */

export interface TopicPartition {
  topic: string
  partition: number
}

/** Names a partition in maps and sets. No topic has a slash in its name. */
export const keyOf = ({ topic, partition }: TopicPartition): string => `${topic}/${partition}`

export interface PartitionsOfTopic {
  topic: string
  partitions: number[]
}

/** By topic in the order in which topics come; partitions ascending. */
export function groupByTopic(list: Iterable<TopicPartition>): PartitionsOfTopic[] {
  const topics = new Map<string, number[]>()
  for (const { topic, partition } of list) {
    const partitions = topics.get(topic)
    if (partitions) partitions.push(partition)
    else topics.set(topic, [partition])
  }
  return [...topics].map(([topic, partitions]) => ({ topic, partitions: partitions.sort((a, b) => a - b) }))
}

/** Each partition once. */
export function flatten(groups: readonly PartitionsOfTopic[]): TopicPartition[] {
  const all = groups.flatMap(({ topic, partitions }) => partitions.map((partition) => ({ topic, partition })))
  return [...new Map(all.map((at) => [keyOf(at), at])).values()]
}

/** Those of `list` that are not in `others`. */
export function without(list: Iterable<TopicPartition>, others: Iterable<TopicPartition>): TopicPartition[] {
  const taken = new Set([...others].map(keyOf))
  return [...list].filter((at) => !taken.has(keyOf(at)))
}
