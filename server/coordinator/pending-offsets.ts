/**
 * Offsets that a group's members have handed to transactions which are not decided yet. They show to nobody, but whoever
 * asks for stable offsets is told to ask again.
 *
 * For each partition producers stand in the order in which they handed in. Should two of them commit, the later one
 * counts, whichever is decided first; and a plain commit counts against all that came before it.
 */
import type { CommittedOffset, TopicPartition } from './offsets.ts'

export interface PendingOffset extends Omit<CommittedOffset, 'knownFrom'> {
  producerEpoch: number
  /** Handed in by a member of the group; false for readers that assign partitions themselves. */
  isMembers?: boolean
}

/** What pending offsets of all groups take in memory, about. */
export interface PendingBytes {
  used: number
}

interface Pending {
  at: TopicPartition
  byProducer: Map<number, PendingOffset>
}

const OVERHEAD_BYTES = 256

export const sizeOfPending = ({ metadata }: { metadata: string }): number => OVERHEAD_BYTES + metadata.length

export class PendingOffsets {
  readonly #partitions = new Map<string, Pending>()
  readonly #bytes: PendingBytes

  constructor(bytes: PendingBytes) {
    this.#bytes = bytes
  }

  get isEmpty(): boolean {
    return this.#partitions.size === 0
  }

  has(at: TopicPartition): boolean {
    return this.#partitions.has(keyOf(at))
  }

  /** Becomes the latest of its partition. */
  set(at: TopicPartition, producerId: number, offset: PendingOffset): void {
    this.remove(at, producerId)
    const pending = this.#partitions.get(keyOf(at)) ?? { at, byProducer: new Map() }
    this.#partitions.set(keyOf(at), pending)
    pending.byProducer.set(producerId, offset)
    this.#bytes.used += sizeOfPending(offset)
  }

  remove(at: TopicPartition, producerId: number): void {
    const pending = this.#partitions.get(keyOf(at))
    const offset = pending?.byProducer.get(producerId)
    if (!pending || !offset) return
    pending.byProducer.delete(producerId)
    if (pending.byProducer.size === 0) this.#partitions.delete(keyOf(at))
    this.#bytes.used -= sizeOfPending(offset)
  }

  clear(): void {
    for (const [at, producerId] of [...this.entries()]) this.remove(at, producerId)
  }

  /** Producers whose offset for this partition is pending, the earliest first. */
  producersAt(at: TopicPartition): number[] {
    return [...(this.#partitions.get(keyOf(at))?.byProducer.keys() ?? [])]
  }

  get(at: TopicPartition, producerId: number): PendingOffset | undefined {
    return this.#partitions.get(keyOf(at))?.byProducer.get(producerId)
  }

  /** The earliest of a partition first. */
  *entries(): Generator<[TopicPartition, producerId: number, PendingOffset]> {
    for (const { at, byProducer } of this.#partitions.values()) {
      for (const [producerId, offset] of byProducer) yield [at, producerId, offset]
    }
  }
}

function keyOf({ topicId, partition }: TopicPartition): string {
  return `${topicId}/${partition}`
}
