/**
 * How much one connection may say in channels: what it says goes to everybody in them.
 *
 * A bucket of units that fills with time. A message costs one, and one more for each 4 KiB.
 */
import type { Clock } from '../../protocol/lib/clock.ts'

export const UNITS_PER_SECOND = 100
export const UNITS_MAX = 200
const BYTES_PER_UNIT = 4096

export class PublishRate {
  readonly #clock: Pick<Clock, 'monotonic'>
  #units = UNITS_MAX
  #at: number

  constructor(clock: Pick<Clock, 'monotonic'>) {
    this.#clock = clock
    this.#at = clock.monotonic()
  }

  /** 0 when it may be said now, and is counted; else how many milliseconds to wait. */
  take(sizeBytes: number): number {
    const now = this.#clock.monotonic()
    this.#units = Math.min(UNITS_MAX, this.#units + ((now - this.#at) / 1000) * UNITS_PER_SECOND)
    this.#at = now
    const cost = 1 + Math.floor(sizeBytes / BYTES_PER_UNIT)
    if (this.#units < cost) return Math.ceil(((cost - this.#units) / UNITS_PER_SECOND) * 1000)
    this.#units -= cost
    return 0
  }
}
