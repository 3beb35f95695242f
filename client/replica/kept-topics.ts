/**
 * What a replica knows in memory: its topics by name, a follower for each partition of those that are kept, and how far
 * those came that nobody follows at the moment. No I/O.
 */
import type { ReplicaRange } from '../core.ts'
import type { Follower } from './follower.ts'
import type { StoredPosition, StoredTopic } from './store.ts'

export interface KeptTopic extends StoredTopic {
  followers: Map<number, Follower>
  isLookingUp: boolean
}

export class KeptTopics {
  readonly #topics = new Map<string, KeptTopic>()
  readonly #positions = new Map<string, StoredPosition>()

  get(name: string): KeptTopic | undefined {
    return this.#topics.get(name)
  }

  get all(): KeptTopic[] {
    return [...this.#topics.values()]
  }

  get followers(): Follower[] {
    return this.all.flatMap(({ followers }) => [...followers.values()])
  }

  follower(topicId: string, partition: number): Follower | undefined {
    return this.all.find((topic) => topic.topicId === topicId)?.followers.get(partition)
  }

  /** Whether it is still the one of its partition. */
  isCurrent(follower: Follower): boolean {
    return this.#topics.get(follower.topic)?.followers.get(follower.partition) === follower
  }

  ranges(name?: string): ReplicaRange[] {
    const topics = name === undefined ? this.all : [this.#topics.get(name)]
    return topics.flatMap((topic) => [...(topic?.followers.values() ?? [])].map(({ range }) => range))
  }

  /** Followers stay with their topic as long as it has the same id. */
  remember(topic: StoredTopic): KeptTopic {
    const former = this.#topics.get(topic.name)
    const isSame = former?.topicId === topic.topicId
    const kept = {
      ...topic,
      followers: isSame ? former.followers : new Map<number, Follower>(),
      isLookingUp: former?.isLookingUp ?? false,
    }
    this.#topics.set(topic.name, kept)
    return kept
  }

  forget({ name, topicId }: StoredTopic): void {
    this.forgetPositions(topicId)
    this.#topics.delete(name)
  }

  position(topicId: string, partition: number): StoredPosition | null {
    return this.#positions.get(positionKey({ topicId, partition })) ?? null
  }

  notePosition(position: StoredPosition): void {
    this.#positions.set(positionKey(position), position)
  }

  hasPositions(topicId: string): boolean {
    return [...this.#positions.values()].some((each) => each.topicId === topicId)
  }

  forgetPositions(topicId: string): void {
    for (const [key, position] of this.#positions) if (position.topicId === topicId) this.#positions.delete(key)
  }

  forgetAllPositions(): void {
    this.#positions.clear()
  }

  /** Their positions are kept, for when the topic is replicated again. */
  release(topic: KeptTopic): void {
    for (const follower of topic.followers.values()) {
      this.notePosition(follower.position)
      follower.close()
    }
    topic.followers.clear()
  }
}

/** Of the next beginning: readers tell by it that what they know is void. */
export function nextGeneration({ followers }: KeptTopic): number {
  return 1 + Math.max(0, ...[...followers.values()].map(({ position }) => position.generation))
}

export function storedTopic({ topicId, name, partitionCount, policy }: StoredTopic): StoredTopic {
  return { topicId, name, partitionCount, policy }
}

const positionKey = ({ topicId, partition }: Pick<StoredPosition, 'topicId' | 'partition'>): string =>
  `${topicId}/${partition}`
