/**
 * Who holds each partition, from when it is handed out until its holder has confirmed that it let go. A partition has one
 * holder at most; that is what the protocol is about.
 */
import { eachOf, type Partitions } from './partitions.ts'

interface Holding {
  memberId: string
  /** The member's epoch when it got the partition. */
  sinceEpoch: number
}

export class PartitionOwners {
  readonly #topics = new Map<string, Map<number, Holding>>()

  holding(topicId: string, partition: number): Holding | undefined {
    return this.#topics.get(topicId)?.get(partition)
  }

  /** Nobody has it, or this member has. */
  isFreeFor(memberId: string, topicId: string, partition: number): boolean {
    const holding = this.holding(topicId, partition)
    return holding === undefined || holding.memberId === memberId
  }

  take(memberId: string, partitions: Partitions, epoch: number): void {
    for (const [topicId, partition] of eachOf(partitions)) {
      let holdings = this.#topics.get(topicId)
      if (!holdings) {
        holdings = new Map()
        this.#topics.set(topicId, holdings)
      }
      if (holdings.get(partition)?.memberId !== memberId) holdings.set(partition, { memberId, sinceEpoch: epoch })
    }
  }

  release(memberId: string, partitions: Partitions): void {
    for (const [topicId, partition] of eachOf(partitions)) {
      const holdings = this.#topics.get(topicId)
      if (holdings?.get(partition)?.memberId !== memberId) continue
      holdings.delete(partition)
      if (holdings.size === 0) this.#topics.delete(topicId)
    }
  }
}
