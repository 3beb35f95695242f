/**
 * Producer ids, unique for ever. A block is reserved in the metadata log before its first id is given out, so a crash
 * can waste ids but never repeat one.
 */
const BLOCK = 1000

export class ProducerIds {
  #next: number
  #reservedBelow: number
  readonly #reserve: (below: number) => Promise<void>
  #reserving: Promise<void> | undefined

  constructor(reservedBelow: number, reserve: (below: number) => Promise<void>) {
    this.#next = reservedBelow
    this.#reservedBelow = reservedBelow
    this.#reserve = reserve
  }

  async next(): Promise<number> {
    while (this.#next >= this.#reservedBelow) {
      this.#reserving ??= this.#reserveBlock()
      await this.#reserving
    }
    return this.#next++
  }

  async #reserveBlock(): Promise<void> {
    try {
      const below = this.#reservedBelow + BLOCK
      await this.#reserve(below)
      this.#reservedBelow = below
    } finally {
      this.#reserving = undefined
    }
  }
}
