/**
 * When to try again: exponential back-off with full jitter, the spread that empties a reconnect storm fastest
 * (AWS Architecture Blog, "Exponential Backoff And Jitter").
 *
 * Invariant: the delay before attempt n is uniform in [0, min(delayMsMax, delayMsFirst * 2^(n-1))). The count goes back
 * to zero only after a connection has held for `stableAfterMs`: a relay that accepts and drops at once is not hammered.
 */
import type { Clock } from '../protocol/lib/clock.ts'
import type { Random } from '../protocol/lib/random.ts'

export interface BackoffOptions {
  /** Bound of the first delay. Default 500 ms. */
  delayMsFirst?: number
  /** Bound of every delay. Default 20 s: with heartbeats a relay that is back is noticed within 30 s. */
  delayMsMax?: number
  /** Default 10 s. */
  stableAfterMs?: number
}

export class Backoff {
  readonly #clock: Clock
  readonly #random: Random
  readonly #delayMsFirst: number
  readonly #delayMsMax: number
  readonly #stableAfterMs: number
  #attempts = 0
  #connectedAtMs: number | undefined

  constructor(clock: Clock, random: Random, options: BackoffOptions = {}) {
    this.#clock = clock
    this.#random = random
    this.#delayMsFirst = options.delayMsFirst ?? 500
    this.#delayMsMax = options.delayMsMax ?? 20_000
    this.#stableAfterMs = options.stableAfterMs ?? 10_000
  }

  /** Failures since the last connection that held. */
  get attempts(): number {
    return this.#attempts
  }

  connected(): void {
    this.#connectedAtMs = this.#clock.monotonic()
  }

  /** Counts the failure and gives the delay before the next attempt. */
  nextDelayMs(): number {
    const connectedAtMs = this.#connectedAtMs
    this.#connectedAtMs = undefined
    if (connectedAtMs !== undefined && this.#clock.monotonic() - connectedAtMs >= this.#stableAfterMs) this.reset()
    const boundMs = Math.min(this.#delayMsMax, this.#delayMsFirst * 2 ** this.#attempts)
    this.#attempts = Math.min(this.#attempts + 1, 30)
    return this.#random.next() * boundMs
  }

  reset(): void {
    this.#attempts = 0
  }
}
