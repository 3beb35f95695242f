/**
 * The wall clock as deletions go by it: it follows the real one back at once, and forward no more than twice as fast as time
 * passes.
 *
 * A wall clock that is set a month ahead would else delete everything, and what is deleted does not come back. Behind a
 * wrong clock records go too early by no more than the time for which it has been wrong; every check says that it is. Behind
 * one that was put right, or a machine that slept, they stay longer for as long again. A start believes what it finds.
 */
import type { Clock } from '../../protocol/lib/clock.ts'

/** A wall clock that is so far ahead of what deletions go by is worth saying. */
const CLOCK_JUMP_MS = 3_600_000

export class PatientClock {
  readonly #clock: Clock
  readonly #startedMs: number
  #nowMs: number
  #monotonicMs: number

  constructor(clock: Clock) {
    this.#clock = clock
    this.#nowMs = clock.now()
    this.#startedMs = this.#monotonicMs = clock.monotonic()
  }

  /** Since the start, whatever the wall clock was set to. */
  get upMs(): number {
    return this.#clock.monotonic() - this.#startedMs
  }

  /** Whole milliseconds: it is written into batches. */
  now(): number {
    const monotonicMs = this.#clock.monotonic()
    this.#nowMs = Math.min(this.#clock.now(), this.#nowMs + 2 * (monotonicMs - this.#monotonicMs))
    this.#monotonicMs = monotonicMs
    return Math.floor(this.#nowMs)
  }

  /** How far the wall clock is ahead, if that is more than an hour. */
  get aheadMs(): number | undefined {
    const aheadMs = this.#clock.now() - this.now()
    return aheadMs > CLOCK_JUMP_MS ? aheadMs : undefined
  }
}
