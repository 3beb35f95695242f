/**
 * Beats by the clock and by what comes from the relay: timers of a hidden page may fire once a minute only, but messages
 * are handled at once, and the relay lets hear from itself at about the same interval.
 *
 * Invariant: one beat is under way at a time.
 */
import type { Clock, Timer } from '../../protocol/lib/clock.ts'
import type { Session } from '../session.ts'

export interface HeartbeatsOptions {
  session: Pick<Session, 'onHeard'>
  clock: Clock
  /** Until the first. */
  firstInMs: number
  /** Never rejects. Resolves with the time until the next. */
  beat(): Promise<number>
}

export class Heartbeats {
  readonly #options: HeartbeatsOptions
  readonly #unlisten: () => void
  #dueAtMs = 0
  /** The relay's own signs of life come at the same interval, a little early or late. */
  #earlyMs = 0
  #isBeating = false
  #isHurried = false
  #isStopped = false
  #timer: Timer | undefined

  constructor(options: HeartbeatsOptions) {
    this.#options = options
    this.#unlisten = options.session.onHeard(() => this.#beatIfDue())
    this.postpone(options.firstInMs)
  }

  /** As soon as the one under way is answered. */
  hurry(): void {
    this.#isHurried = true
    this.#beatIfDue()
  }

  /** The next no sooner than in so many ms. */
  postpone(waitMs: number): void {
    const { clock } = this.#options
    this.#timer?.cancel()
    this.#isHurried = false
    if (this.#isStopped) return
    this.#dueAtMs = clock.monotonic() + waitMs
    this.#earlyMs = waitMs * 0.1
    this.#timer = clock.setTimer(Math.max(0, waitMs), () => this.#beatIfDue())
  }

  stop(): void {
    this.#isStopped = true
    this.#timer?.cancel()
    this.#unlisten()
  }

  #beatIfDue(): void {
    if (this.#isBeating || this.#isStopped) return
    if (!this.#isHurried && this.#options.clock.monotonic() < this.#dueAtMs - this.#earlyMs) return
    this.#isBeating = true
    this.#isHurried = false
    this.#timer?.cancel()
    void this.#options.beat().then((waitMs) => {
      this.#isBeating = false
      if (this.#isHurried) this.#beatIfDue()
      else this.postpone(waitMs)
    })
  }
}
