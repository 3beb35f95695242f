/** Partitions by topic id: those that a transaction has written to, or is about to. */
import type { TopicPartition } from '../offsets.ts'

/** As in the log. */
export type StoredPartitions = Record<string, number[]>

export class PartitionSet {
  readonly #topics = new Map<string, Set<number>>()
  #size = 0

  static of(stored: StoredPartitions): PartitionSet {
    const set = new PartitionSet()
    for (const [topicId, partitions] of Object.entries(stored))
      for (const partition of partitions) set.add({ topicId, partition })
    return set
  }

  get size(): number {
    return this.#size
  }

  has({ topicId, partition }: TopicPartition): boolean {
    return this.#topics.get(topicId)?.has(partition) ?? false
  }

  add({ topicId, partition }: TopicPartition): void {
    const partitions = this.#topics.get(topicId) ?? new Set<number>()
    if (partitions.has(partition)) return
    this.#topics.set(topicId, partitions.add(partition))
    this.#size++
  }

  delete({ topicId, partition }: TopicPartition): void {
    const partitions = this.#topics.get(topicId)
    if (!partitions?.delete(partition)) return
    if (partitions.size === 0) this.#topics.delete(topicId)
    this.#size--
  }

  clear(): void {
    this.#topics.clear()
    this.#size = 0
  }

  *[Symbol.iterator](): Generator<TopicPartition> {
    for (const [topicId, partitions] of this.#topics) for (const partition of partitions) yield { topicId, partition }
  }

  topics(): Iterable<[topicId: string, partitions: ReadonlySet<number>]> {
    return this.#topics
  }

  stored(): StoredPartitions {
    return Object.fromEntries([...this.#topics].map(([topicId, partitions]) => [topicId, [...partitions]]))
  }
}
