/**
 * How long a member may believe that it still is one: a session from the last sign that the group knows it.
 *
 * A page that was frozen finds its timers late. So the time is looked at before each record is handed out, on two clocks:
 * the monotonic one may stand still while a device sleeps, the wall clock may jump. Whichever says that the time is up is
 * believed: to be wrong costs a rejoin, to trust a dead lease would be to work on what is somebody else's.
 */
import type { Clock } from '../../protocol/lib/clock.ts'

export class Lease {
  readonly #clock: Clock
  readonly #durationMs: number
  #from: { monotonicMs: number; wallMs: number } | undefined

  constructor(clock: Clock, durationMs: number) {
    this.#clock = clock
    this.#durationMs = durationMs
  }

  renew(): void {
    this.#from = { monotonicMs: this.#clock.monotonic(), wallMs: this.#clock.now() }
  }

  end(): void {
    this.#from = undefined
  }

  get holds(): boolean {
    return this.remainingMs > 0
  }

  get remainingMs(): number {
    if (!this.#from) return 0
    const { monotonicMs, wallMs } = this.#from
    const passedMs = Math.max(this.#clock.monotonic() - monotonicMs, this.#clock.now() - wallMs)
    return Math.max(0, this.#durationMs - passedMs)
  }
}
