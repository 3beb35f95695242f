/**
 * Offsets that hold nothing: compaction took their records out, or they were lost and a repair put a hole in their place.
 * What other files say of a stretch with a gap in it cannot be held against the batches.
 */
import type { BatchHeader } from '../../protocol/record-batch.ts'
import { nextOffsetOf } from '../../protocol/record-batch.ts'

export const isGap = (header: BatchHeader): boolean => header.recordCount === 0 && header.producerId < 0

export class Gaps {
  /** Ascending. */
  readonly #gaps: Array<{ from: number; to: number }> = []

  note(header: BatchHeader): void {
    if (isGap(header)) this.#gaps.push({ from: header.baseOffset, to: nextOffsetOf(header) })
  }

  /** Whether an offset from `from` to before `to` lies in one. */
  lieIn(from: number, to = Number.POSITIVE_INFINITY): boolean {
    return this.#gaps.some((gap) => gap.from < to && gap.to > from)
  }
}
