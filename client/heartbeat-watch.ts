/**
 * Notices a peer that died without a word. Any frame is a sign of life; silence for 2.5 heartbeats is death.
 *
 * A timer that fires much too late means that this machine slept, and frames may wait unread: then the silence proves
 * nothing and the peer is probed instead. In a black hole no close event comes for 15 s and more, so this is the only
 * way to know.
 */
import type { Clock, Timer } from '../protocol/lib/clock.ts'

const SILENT_HEARTBEATS_MAX = 2.5

export interface HeartbeatWatchOptions {
  clock: Clock
  heartbeatMs: number
  /** Time that a probe has to be answered. */
  probeTimeoutMs: number
  /** Sends something that must be answered. */
  probe(): void
  onDead(silentMs: number): void
}

export class HeartbeatWatch {
  readonly #options: HeartbeatWatchOptions
  readonly #limitMs: number
  #lastSignMs: number
  #dueMs = 0
  #timer: Timer | undefined

  constructor(options: HeartbeatWatchOptions) {
    this.#options = options
    this.#limitMs = options.heartbeatMs * SILENT_HEARTBEATS_MAX
    this.#lastSignMs = options.clock.monotonic()
    this.#arm(this.#limitMs)
  }

  /** Cheap: one clock reading for each frame, no timer is touched. */
  signOfLife(): void {
    this.#lastSignMs = this.#options.clock.monotonic()
  }

  /** Asks now, and calls `onDead` unless something comes in time. */
  probe(): void {
    this.#options.probe()
    this.#lastSignMs = Math.min(
      this.#lastSignMs,
      this.#options.clock.monotonic() + this.#options.probeTimeoutMs - this.#limitMs,
    )
    this.#arm(this.#remainingMs())
  }

  stop(): void {
    this.#timer?.cancel()
    this.#timer = undefined
  }

  #remainingMs(): number {
    return this.#lastSignMs + this.#limitMs - this.#options.clock.monotonic()
  }

  #arm(delayMs: number): void {
    this.#timer?.cancel()
    this.#dueMs = this.#options.clock.monotonic() + delayMs
    this.#timer = this.#options.clock.setTimer(delayMs, () => this.#look())
  }

  #look(): void {
    const { clock, heartbeatMs, onDead } = this.#options
    const remainingMs = this.#remainingMs()
    if (remainingMs > 0) return this.#arm(remainingMs)
    if (clock.monotonic() - this.#dueMs > heartbeatMs / 2) {
      this.#lastSignMs = clock.monotonic()
      return this.probe()
    }
    this.stop()
    onDead(clock.monotonic() - this.#lastSignMs)
  }
}
