/** The partitions of one share group that have begun, by topic id; with what the relay does about each. */
import type { Timer } from '../../../protocol/lib/clock.ts'
import { Emitter } from '../../../protocol/lib/events.ts'
import type { TopicPartition } from '../offsets.ts'
import type { SharePartition } from './share-partition.ts'

/** How many there are in all groups. */
export interface ShareCount {
  partitions: number
}

export interface HeldShare {
  partition: SharePartition
  /** Somebody reads its log to hand out what is there; others wait, and read what is left. */
  isBeingRead: boolean
  /** For the next lock that runs out. */
  timer: Timer | undefined
  timerAt: number
  /** The group reads it no more, or state was read anew. */
  isDropped: boolean
  /** Something may be available that was not. */
  readonly released: Emitter<void>
}

export class SharePartitions {
  readonly #topics = new Map<string, Map<number, HeldShare>>()
  readonly #count: ShareCount

  constructor(count: ShareCount) {
    this.#count = count
  }

  get isEmpty(): boolean {
    return this.#topics.size === 0
  }

  get({ topicId, partition }: TopicPartition): HeldShare | undefined {
    return this.#topics.get(topicId)?.get(partition)
  }

  /** In place of the one that is there, if there is. */
  set({ topicId, partition }: TopicPartition, share: SharePartition): HeldShare {
    let partitions = this.#topics.get(topicId)
    if (!partitions) {
      partitions = new Map()
      this.#topics.set(topicId, partitions)
    }
    const known = partitions.get(partition)
    if (known) {
      known.partition = share
      return known
    }
    const held: HeldShare = {
      ...{ partition: share, isBeingRead: false, timer: undefined, timerAt: 0, isDropped: false },
      released: new Emitter<void>(),
    }
    partitions.set(partition, held)
    this.#count.partitions++
    return held
  }

  remove({ topicId, partition }: TopicPartition): void {
    const partitions = this.#topics.get(topicId)
    const held = partitions?.get(partition)
    if (!partitions || !held) return
    held.timer?.cancel()
    held.isDropped = true
    partitions.delete(partition)
    if (partitions.size === 0) this.#topics.delete(topicId)
    this.#count.partitions--
  }

  clear(): void {
    for (const [at] of [...this.entries()]) this.remove(at)
  }

  partitionsOf(topicId: string): TopicPartition[] {
    return [...(this.#topics.get(topicId)?.keys() ?? [])].map((partition) => ({ topicId, partition }))
  }

  *entries(): Generator<[TopicPartition, HeldShare]> {
    for (const [topicId, partitions] of this.#topics) {
      for (const [partition, held] of partitions) yield [{ topicId, partition }, held]
    }
  }
}
