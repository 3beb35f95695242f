/**
 * Those subscribers of a partition who stand at its end, and that end as it was published to them: of all records, or of
 * the committed ones. Invariant: every member has `position === published`.
 */
import type { Subscription } from './subscription.ts'

export class Tail {
  readonly isCommitted: boolean
  /** Its members asked for some keys: nothing is pushed to them, each reads what is new for itself. */
  readonly isMatching: boolean
  /** Where its members stand. Whoever is behind reads up to here, and joins. */
  published: number
  readonly members: Subscription[] = []
  readonly #end: () => number
  /** Positions that are not decided yet. Few: a subscriber begins there only if it asks for it. */
  readonly #ahead = new Set<Subscription>()

  /** `end` is where its members would stand if all were published. */
  constructor(kind: { isCommitted: boolean; isMatching: boolean }, end: () => number) {
    this.isCommitted = kind.isCommitted
    this.isMatching = kind.isMatching
    this.#end = end
    this.published = end()
  }

  get end(): number {
    return this.#end()
  }

  get isEmpty(): boolean {
    return this.members.length === 0
  }

  add(subscription: Subscription): void {
    subscription.place = 'tail'
    subscription.tailIndex = this.members.push(subscription) - 1
  }

  addAhead(subscription: Subscription): void {
    subscription.place = 'ahead'
    this.#ahead.add(subscription)
  }

  leave(subscription: Subscription): void {
    this.#ahead.delete(subscription)
    const { tailIndex } = subscription
    if (tailIndex < 0) return
    const last = this.members.pop()!
    if (last !== subscription) {
      this.members[tailIndex] = last
      last.tailIndex = tailIndex
    }
    subscription.tailIndex = -1
  }

  /** Takes out those that are not ahead any more. */
  takeReached(): Subscription[] {
    if (this.#ahead.size === 0) return []
    const reached = [...this.#ahead].filter(({ position }) => position <= this.published)
    for (const subscription of reached) this.#ahead.delete(subscription)
    return reached
  }
}
