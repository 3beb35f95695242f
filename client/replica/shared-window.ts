/**
 * How much may be on its way to a replica at a time, shared by its partitions: nothing for who has a lower priority than
 * something that lags behind, else the same for everybody.
 */
import type { Follower } from './follower.ts'

const WINDOW_BYTES = 8 * 1024 * 1024
const WINDOW_BYTES_MIN = 64 * 1024

export class SharedWindow {
  readonly #followers: () => Follower[]
  /** The highest priority of what lags behind. */
  #urgent = Number.NEGATIVE_INFINITY
  /** Who was given nothing when last asked: its own priority may be raised while the highest stays what it is. */
  readonly #heldBack = new WeakSet<Follower>()

  constructor(followers: () => Follower[]) {
    this.#followers = followers
  }

  bytesFor(follower: Follower): number {
    if (this.#mustWait(follower)) {
      this.#heldBack.add(follower)
      return 0
    }
    this.#heldBack.delete(follower)
    const sharing = this.#followers().filter((each) => priorityOf(each) >= this.#urgent).length
    return Math.max(WINDOW_BYTES_MIN, Math.floor(WINDOW_BYTES / Math.max(1, sharing)))
  }

  /** Who waited for those of a higher priority goes on when they are up to date. */
  review(): void {
    const followers = this.#followers()
    const lagging = followers.filter((follower) => follower.isLagging).map(priorityOf)
    const urgent = lagging.length === 0 ? Number.NEGATIVE_INFINITY : Math.max(...lagging)
    const isSame = urgent === this.#urgent
    this.#urgent = urgent
    for (const follower of followers) {
      const waitsInVain = this.#heldBack.has(follower) && !this.#mustWait(follower)
      if (!isSame || waitsInVain) follower.reviewWindow()
    }
  }

  #mustWait(follower: Follower): boolean {
    return priorityOf(follower) < this.#urgent
  }
}

const priorityOf = ({ policy }: Follower): number => policy.priority ?? 0
