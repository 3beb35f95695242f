/** Whether a batch belongs to a transaction that was aborted: of all segments, in memory for the time of one pass. */

import type { AbortedTransaction } from '../../../protocol/messages/offset-protocol.ts'
import type { BatchHeader } from '../../../protocol/record-batch.ts'
import { isTransactional } from '../../../protocol/record-batch.ts'
import type { Segment } from '../segment.ts'
import type { SparseIndex } from '../sparse-index.ts'

export class AbortedRanges {
  /** By producer, in the order of their markers. */
  readonly #byProducer = new Map<number, AbortedTransaction[]>()

  /** The marker of a transaction may lie in any later segment. */
  static async of(
    segments: readonly Segment[],
    upTo: number,
    indexOf: (segment: Segment) => Promise<SparseIndex>,
  ): Promise<AbortedRanges> {
    const ranges = new AbortedRanges()
    for (const segment of segments) {
      if (segment.abortedFrom >= upTo) continue
      for (const aborted of (await indexOf(segment)).aborted.entries()) ranges.#add(aborted)
    }
    return ranges
  }

  #add(aborted: AbortedTransaction): void {
    const known = this.#byProducer.get(aborted.producerId)
    if (known) known.push(aborted)
    else this.#byProducer.set(aborted.producerId, [aborted])
  }

  has(header: BatchHeader): boolean {
    const ranges = isTransactional(header) ? this.#byProducer.get(header.producerId) : undefined
    if (!ranges) return false
    let low = 0
    let high = ranges.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (ranges[middle]!.lastOffset < header.baseOffset) low = middle + 1
      else high = middle
    }
    const next = ranges[low]
    return next !== undefined && next.firstOffset <= header.baseOffset
  }
}
