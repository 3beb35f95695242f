/**
 * The transactions of one log that nobody may take for decided yet, and with them the last stable offset.
 *
 * A transaction opens with its first batch and is held here until its marker is *durable*: one whose marker is still
 * queued could be open again after a power cut. Offsets are given out in order, so the map is in order of first offsets.
 */
export interface OpenTransaction {
  producerId: number
  producerEpoch: number
  firstOffset: number
  /** Wall clock at the first batch, or at the recovery that replayed it. */
  sinceMs: number
}

export class OpenTransactions {
  readonly #byFirstOffset = new Map<number, OpenTransaction>()
  /** Ended by a marker that is queued, in the order of their markers. */
  #ending: Array<{ firstOffset: number; markerOffset: number }> = []
  /** First offset of the oldest that is undecided; undefined when there is none. */
  firstOffset: number | undefined

  /** Those without a marker, oldest first. */
  list(): OpenTransaction[] {
    const ended = new Set(this.#ending.map(({ firstOffset }) => firstOffset))
    return [...this.#byFirstOffset.values()].filter(({ firstOffset }) => !ended.has(firstOffset))
  }

  /** First offsets must come in order. */
  begin(transaction: OpenTransaction): void {
    this.#byFirstOffset.set(transaction.firstOffset, transaction)
    this.firstOffset ??= transaction.firstOffset
  }

  end(firstOffset: number, markerOffset: number): void {
    this.#ending.push({ firstOffset, markerOffset })
  }

  /** All below `highWatermark` is durable: transactions whose marker lies there are decided. */
  settle(highWatermark: number): void {
    if (this.#ending.length === 0) return
    const durable = this.#ending.findIndex(({ markerOffset }) => markerOffset >= highWatermark)
    const decided = durable < 0 ? this.#ending : this.#ending.slice(0, durable)
    this.#ending = durable < 0 ? [] : this.#ending.slice(durable)
    for (const { firstOffset } of decided) this.#byFirstOffset.delete(firstOffset)
    this.firstOffset = this.#byFirstOffset.keys().next().value
  }
}
