/** How much one request takes of what is available: what it asks for, and what its group may have in hand. */
import type { Run } from './runs.ts'

export interface Wish {
  readonly memberId: string
  readonly recordsMax: number
  /** No more than `recordsMax`, even if a batch must be cut. */
  readonly isStrict: boolean
  /** Neighbours are told as one up to this size. */
  readonly batchSize: number
  readonly lockedUntil: number
}

export interface ShareLimits {
  /** Offsets in hand that are not settled. */
  readonly recordLocksMax: number
  readonly deliveriesMax: number
}

export interface Acquired {
  first: number
  last: number
  deliveryCount: number
}

export class Taking {
  readonly acquired: Acquired[] = []
  readonly #wish: Wish
  readonly #limits: ShareLimits
  #recordsLeft: number
  /** For offsets that were never in hand. */
  #locksLeft: number
  #isDone = false

  constructor(wish: Wish, limits: ShareLimits, openCount: number) {
    this.#wish = wish
    this.#limits = limits
    this.#recordsLeft = wish.recordsMax
    this.#locksLeft = Math.max(0, limits.recordLocksMax - openCount)
  }

  get isDone(): boolean {
    return this.#isDone
  }

  /**
   * On its last delivery a record comes alone: if it is what makes consumers fail, it takes no others with it.
   */
  countOf({ first, last, deliveryCount }: Run, isNew: boolean): number {
    const { deliveriesMax } = this.#limits
    const isLast = deliveryCount > 0 && deliveryCount + 1 >= deliveriesMax
    if (isLast && this.acquired.length > 0) return this.#stop()
    const count = Math.min(
      isLast ? 1 : last - first + 1,
      this.#wish.isStrict ? this.#recordsLeft : Number.POSITIVE_INFINITY,
      isNew ? this.#locksLeft : Number.POSITIVE_INFINITY,
    )
    if (isNew) this.#locksLeft -= count
    if (isLast || count < last - first + 1) this.#isDone = true
    return count
  }

  take({ first, deliveryCount }: Run, count: number): void {
    this.#recordsLeft -= count
    const last = first + count - 1
    const before = this.acquired.at(-1)
    const isNext = before?.last === first - 1 && before.deliveryCount === deliveryCount + 1
    if (isNext && last - before.first < this.#wish.batchSize) before.last = last
    else this.acquired.push({ first, last, deliveryCount: deliveryCount + 1 })
  }

  endOfSpan(): void {
    if (this.#recordsLeft <= 0) this.#isDone = true
  }

  #stop(): 0 {
    this.#isDone = true
    return 0
  }
}
