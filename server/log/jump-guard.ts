/** Tells a wall clock that jumped from one that went on: by how far it moved beside the monotonic clock. */
import type { Clock } from '../../protocol/lib/clock.ts'

export const CLOCK_JUMP_MS = 3_600_000

export class JumpGuard {
  readonly #clock: Clock
  #wallMs: number
  #monotonicMs: number

  constructor(clock: Clock) {
    this.#clock = clock
    this.#wallMs = clock.now()
    this.#monotonicMs = clock.monotonic()
  }

  /** How far the wall clock jumped since the last call, if that is more than an hour. */
  takeJump(): number | undefined {
    const wallMs = this.#clock.now()
    const monotonicMs = this.#clock.monotonic()
    const jumpMs = wallMs - this.#wallMs - (monotonicMs - this.#monotonicMs)
    this.#wallMs = wallMs
    this.#monotonicMs = monotonicMs
    return Math.abs(jumpMs) > CLOCK_JUMP_MS ? jumpMs : undefined
  }
}
