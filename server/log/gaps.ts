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

  /** Whether an offset from `from` to before `to` lies in one. Asked for each batch, of a log that may be half gaps. */
  lieIn(from: number, to = Number.POSITIVE_INFINITY): boolean {
    let low = 0
    let high = this.#gaps.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#gaps[middle]!.to <= from) low = middle + 1
      else high = middle
    }
    const next = this.#gaps[low]
    return next !== undefined && next.from < to
  }
}
