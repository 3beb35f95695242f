/**
 * Beats at an interval, by the clock and by what comes from the relay: timers of a hidden page may fire once a minute
 * only, but messages are handled at once, and the relay lets hear from itself at the same interval.
 *
 * Invariant: one beat is under way at a time.
 */
import type { Clock, Timer } from '../../protocol/lib/clock.ts'
import type { Session } from '../session.ts'

export interface HeartbeatsOptions {
  session: Pick<Session, 'onHeard'>
  clock: Clock
  intervalMs: number
  /** Never rejects. */
  beat(): Promise<void>
}

export class Heartbeats {
  readonly #options: HeartbeatsOptions
  readonly #unlisten: () => void
  #lastAt: number
  #isBeating = false
  #isStopped = false
  #timer: Timer | undefined

  constructor(options: HeartbeatsOptions) {
    this.#options = options
    this.#lastAt = options.clock.monotonic()
    this.#unlisten = options.session.onHeard(() => this.#beatIfDue())
    this.#beatLater()
  }

  stop(): void {
    this.#isStopped = true
    this.#timer?.cancel()
    this.#unlisten()
  }

  #beatLater(): void {
    const { clock, intervalMs } = this.#options
    this.#timer?.cancel()
    if (this.#isStopped) return
    const waitMs = Math.max(0, this.#lastAt + intervalMs - clock.monotonic())
    this.#timer = clock.setTimer(waitMs, () => this.#beatIfDue())
  }

  #beatIfDue(): void {
    const { clock, intervalMs, beat } = this.#options
    // The relay's own signs of life come at the same interval, a little early or late.
    if (this.#isBeating || this.#isStopped || clock.monotonic() - this.#lastAt < intervalMs * 0.9) return
    this.#isBeating = true
    this.#lastAt = clock.monotonic()
    void beat().then(() => {
      this.#isBeating = false
      this.#beatLater()
    })
  }
}
