/**
 * The leader epochs of the batches that were read, as far back as something of them is not committed: a commit carries the
 * epoch of the last record before it, by which a log that was truncated meanwhile is recognised (KIP-320).
 */
import { batchesIn } from '../../protocol/record-batch.ts'

export class EpochTrail {
  /** Ascending; an entry where the epoch changes. */
  #changes: Array<{ from: number; epoch: number }> = []

  constructor(offset: number, epoch: number) {
    if (epoch >= 0) this.#changes.push({ from: offset - 1, epoch })
  }

  add(batches: Uint8Array): void {
    for (const { header } of batchesIn(batches)) {
      if (this.#changes.at(-1)?.epoch === header.leaderEpoch) continue
      this.#changes.push({ from: header.baseOffset, epoch: header.leaderEpoch })
    }
  }

  /** Of the record before `offset`; -1 when that was not read here. */
  before(offset: number): number {
    return this.#changes.findLast(({ from }) => from < offset)?.epoch ?? -1
  }

  forgetBefore(offset: number): void {
    while (this.#changes.length > 1 && this.#changes[1]!.from < offset) this.#changes.shift()
  }
}
