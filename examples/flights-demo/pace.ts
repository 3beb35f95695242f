/**
 * When each flight is due: the data's own clock, `speed` times as fast as ours.
 *
 * The clock starts with the first flight that is asked for. When the machine cannot keep up (or slept), the lag
 * beyond LAG_MS_MAX is forgiven instead of being made up for by a burst.
 */

import type { Clock } from '../../protocol/lib/clock.ts'

const LAG_MS_MAX = 2000

export interface Pace {
  /** Milliseconds until this flight is due; 0 when it is. */
  waitMs(atMs: number): number
}

/** `speed` 1 is real time, 1200 lets twenty minutes pass in a second, Infinity never waits. */
export function createPace(speed: number, clock: Clock): Pace {
  let start: { atMs: number; monotonicMs: number } | undefined
  return {
    waitMs(atMs) {
      if (speed === Number.POSITIVE_INFINITY) return 0
      const nowMs = clock.monotonic()
      start ??= { atMs, monotonicMs: nowMs }
      const waitMs = start.monotonicMs + (atMs - start.atMs) / speed - nowMs
      if (waitMs < -LAG_MS_MAX) start.monotonicMs -= waitMs + LAG_MS_MAX
      return Math.max(0, waitMs)
    },
  }
}

/** @throws Error naming the allowed values. */
export function parseSpeed(text: string): number {
  if (text === 'max') return Number.POSITIVE_INFINITY
  const speed = /^\d+(\.\d+)?$/.test(text) ? Number(text) : Number.NaN
  if (speed > 0) return speed
  throw new RangeError(`--speed: '${text}' is not allowed; use a number above 0 (1 is real time) or max`)
}
