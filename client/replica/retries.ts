/** What a replica does later, until it is closed; after each failure in a row it waits twice as long as after the last. */
import type { Clock, Timer } from '../../protocol/lib/clock.ts'

const DELAY_MS_MIN = 1_000
const DELAY_MS_MAX = 30_000

export class Retries {
  readonly #clock: Clock
  readonly #timers = new Set<Timer>()
  #failures = 0
  #isClosed = false

  constructor(clock: Clock) {
    this.#clock = clock
  }

  afterFailure(run: () => void): void {
    this.later(Math.min(DELAY_MS_MAX, DELAY_MS_MIN * 2 ** Math.min(this.#failures++, 6)), run)
  }

  later(delayMs: number, run: () => void): void {
    if (this.#isClosed) return
    const timer = this.#clock.setTimer(delayMs, () => {
      this.#timers.delete(timer)
      if (!this.#isClosed) run()
    })
    this.#timers.add(timer)
  }

  /** It works again. Whether it had not. */
  worked(): boolean {
    const hadFailed = this.#failures > 0
    this.#failures = 0
    return hadFailed
  }

  close(): void {
    this.#isClosed = true
    for (const timer of this.#timers) timer.cancel()
  }
}
