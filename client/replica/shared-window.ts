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

  constructor(followers: () => Follower[]) {
    this.#followers = followers
  }

  bytesFor(follower: Follower): number {
    if (priorityOf(follower) < this.#urgent) return 0
    const sharing = this.#followers().filter((each) => priorityOf(each) >= this.#urgent).length
    return Math.max(WINDOW_BYTES_MIN, Math.floor(WINDOW_BYTES / Math.max(1, sharing)))
  }

  /** Who waited for those of a higher priority goes on when they are up to date. */
  review(): void {
    const followers = this.#followers()
    const lagging = followers.filter((follower) => follower.isLagging).map(priorityOf)
    const urgent = lagging.length === 0 ? Number.NEGATIVE_INFINITY : Math.max(...lagging)
    if (urgent === this.#urgent) return
    this.#urgent = urgent
    for (const follower of followers) follower.reviewWindow()
  }
}

const priorityOf = ({ policy }: Follower): number => policy.priority ?? 0
