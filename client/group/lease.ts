/**
 * How long a member may believe that it still is one: a session from when it last said something that the group answered.
 *
 * A page that was frozen finds its timers late. So the time is looked at before each record is handed out, on two clocks:
 * the monotonic one may stand still while a device sleeps, the wall clock may jump. Whichever says that the time is up is
 * believed: to be wrong costs a rejoin, to trust a dead lease would be to work on what is somebody else's.
 */
import type { Clock } from '../../protocol/lib/clock.ts'

/** An instant on both clocks. */
export interface LeaseMark {
  monotonicMs: number
  wallMs: number
}

export class Lease {
  durationMs: number
  readonly #clock: Clock
  #from: LeaseMark | undefined

  constructor(clock: Clock, durationMs: number) {
    this.#clock = clock
    this.durationMs = durationMs
  }

  now(): LeaseMark {
    return { monotonicMs: this.#clock.monotonic(), wallMs: this.#clock.now() }
  }

  /** From when the question was sent: a page may be frozen between that and reading the answer. */
  renew(from: LeaseMark = this.now()): void {
    this.#from = from
  }

  end(): void {
    this.#from = undefined
  }

  get holds(): boolean {
    return this.remainingMs > 0
  }

  get remainingMs(): number {
    if (!this.#from) return 0
    const { monotonicMs, wallMs } = this.now()
    const passedMs = Math.max(monotonicMs - this.#from.monotonicMs, wallMs - this.#from.wallMs)
    return Math.max(0, this.durationMs - passedMs)
  }
}
