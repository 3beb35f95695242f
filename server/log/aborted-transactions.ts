/**
 * Which transactions were aborted in a segment: an entry for each abort marker that lies in it and ended something, in the
 * order of the markers. Part of the segment's index, so a cache: it is made anew when that is.
 *
 * A transaction may have begun in an earlier segment. `from` is the least first offset, so that whoever reads elsewhere
 * need not look here.
 */
import type { AbortedTransaction } from '../../protocol/messages/offset-protocol.ts'

const FIELDS = 3
export const ABORTED_ENTRY_BYTES = FIELDS * 8

export class AbortedTransactions {
  #fields = new Float64Array(FIELDS * 8)
  count = 0
  /** The least first offset; infinite when there is no entry. */
  from = Number.POSITIVE_INFINITY

  add({ producerId, firstOffset, lastOffset }: AbortedTransaction): void {
    const at = this.count * FIELDS
    if (at === this.#fields.length) {
      const larger = new Float64Array(this.#fields.length * 2)
      larger.set(this.#fields)
      this.#fields = larger
    }
    this.#fields.set([producerId, firstOffset, lastOffset], at)
    this.count++
    if (firstOffset < this.from) this.from = firstOffset
  }

  /** Those of certain producers that have an offset in [from, upTo), in the order of their markers. */
  *overlapping(from: number, upTo: number, producers: { has(id: number): boolean }): Generator<AbortedTransaction> {
    for (let index = this.#firstEndingAt(from); index < this.count; index++) {
      const at = index * FIELDS
      if (this.#fields[at + 1]! < upTo && producers.has(this.#fields[at]!)) yield this.#entry(index)
    }
  }

  *entries(): Generator<AbortedTransaction> {
    for (let index = 0; index < this.count; index++) yield this.#entry(index)
  }

  #entry(index: number): AbortedTransaction {
    const at = index * FIELDS
    return {
      producerId: this.#fields[at]!,
      firstOffset: this.#fields[at + 1]!,
      lastOffset: this.#fields[at + 2]!,
    }
  }

  /** Index of the first whose marker lies at `offset` or above: markers ascend. */
  #firstEndingAt(offset: number): number {
    let low = 0
    let high = this.count
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#fields[middle * FIELDS + 2]! < offset) low = middle + 1
      else high = middle
    }
    return low
  }
}
