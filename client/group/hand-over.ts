/**
 * From the workers of all partitions to the one loop of an application, one thing at a time.
 *
 * Invariant: what was handed over counts as done when the loop asks for the next, and not before: a loop that is left
 * gives its last record back.
 */

/** The application will not finish what it was handed, or never got it. */
export class Withdrawn extends Error {
  override readonly name = 'Withdrawn'
}

interface Offer<T> {
  item: T
  settle(isDone: boolean): void
}

export class HandOver<T> {
  readonly #offers: Offer<T>[] = []
  #inHand: Offer<T> | undefined
  #wanted: ((item: T | undefined) => void) | undefined
  #isOver = false

  /** Resolves when the application has gone on. Rejects Withdrawn when it ends first, or `signal` before it took this. */
  offer(item: T, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const offer: Offer<T> = {
        item,
        settle: (isDone) => {
          signal.removeEventListener('abort', withdraw)
          if (isDone) resolve()
          else reject(new Withdrawn('not taken'))
        },
      }
      const withdraw = () => {
        const at = this.#offers.indexOf(offer)
        if (at < 0) return
        this.#offers.splice(at, 1)
        offer.settle(false)
      }
      if (this.#isOver || signal.aborted) return offer.settle(false)
      signal.addEventListener('abort', withdraw, { once: true })
      this.#offers.push(offer)
      this.#handOver()
    })
  }

  /** What the application works on now. */
  get inHand(): T | undefined {
    return this.#inHand?.item
  }

  /** Undefined when it is over. */
  next(): Promise<T | undefined> {
    this.#inHand?.settle(true)
    this.#inHand = undefined
    if (this.#isOver) return Promise.resolve(undefined)
    return new Promise((resolve) => {
      this.#wanted = resolve
      this.#handOver()
    })
  }

  end(): void {
    this.#isOver = true
    this.#inHand?.settle(false)
    this.#inHand = undefined
    for (const offer of this.#offers.splice(0)) offer.settle(false)
    this.#wanted?.(undefined)
    this.#wanted = undefined
  }

  #handOver(): void {
    const wanted = this.#wanted
    const offer = wanted && this.#offers.shift()
    if (!offer) return
    this.#wanted = undefined
    this.#inHand = offer
    wanted(offer.item)
  }
}
