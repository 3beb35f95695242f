/** Partitions of several topics, and the grouped form that Kafka's messages have. */
export interface TopicPartition {
  topic: string
  partition: number
}

/** In the order in which topics come first. */
export function byTopic<T extends { topic: string }>(items: readonly T[]): Map<string, T[]> {
  const groups = new Map<string, T[]>()
  for (const item of items) {
    const group = groups.get(item.topic)
    if (group) group.push(item)
    else groups.set(item.topic, [item])
  }
  return groups
}

/** Names a partition in maps. No topic has a slash in its name. */
export const keyOf = ({ topic, partition }: TopicPartition): string => `${topic}/${partition}`

/** What an answer says, by partition; `indexOf` reads the partition's number. */
export function answersByPartition<T>(
  topics: ReadonlyArray<{ name: string; partitions: readonly T[] }>,
  indexOf: (answer: T) => number,
): Map<string, T> {
  return new Map(
    topics.flatMap(({ name, partitions }) =>
      partitions.map((each): [string, T] => [keyOf({ topic: name, partition: indexOf(each) }), each]),
    ),
  )
}
