/**
 * Records that members of one group did not finish, by partition: what they did instead, and why. Kept beside the
 * committed offset, for as long as that is, and no more than FAILED_PER_PARTITION_MAX of them: when older ones go, the
 * group's known range begins behind them.
 */
import type { TopicPartition } from './offsets.ts'

export interface DeadLetterPlace {
  topic: string
  partition: number
  offset: number
}

export interface FailedRange {
  from: number
  /** The offset behind the last of them. */
  to: number
  how: 'dead-lettered' | 'skipped'
  reason: string
  place: DeadLetterPlace | null
}

export const FAILED_PER_PARTITION_MAX = 128

export class FailedRecords {
  readonly #partitions = new Map<string, { at: TopicPartition; ranges: FailedRange[] }>()

  /** Ascending by `from`. */
  of(at: TopicPartition): readonly FailedRange[] {
    return this.#partitions.get(keyOf(at))?.ranges ?? []
  }

  /** In place of one that begins at the same offset. */
  set(at: TopicPartition, range: FailedRange): void {
    const ranges = this.of(at).filter(({ from }) => from !== range.from)
    const index = ranges.findIndex(({ from }) => from > range.from)
    ranges.splice(index < 0 ? ranges.length : index, 0, range)
    this.#partitions.set(keyOf(at), { at, ranges })
  }

  removeBelow(at: TopicPartition, offset: number): void {
    const ranges = this.of(at).filter(({ to }) => to > offset)
    if (ranges.length > 0) this.#partitions.set(keyOf(at), { at, ranges })
    else this.#partitions.delete(keyOf(at))
  }

  *entries(): Generator<[TopicPartition, FailedRange]> {
    for (const { at, ranges } of this.#partitions.values()) for (const range of ranges) yield [at, range]
  }
}

function keyOf({ topicId, partition }: TopicPartition): string {
  return `${topicId}/${partition}`
}
