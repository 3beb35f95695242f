/**
 * Between a reader and a list: hands rows on at most once a frame, holds them while paused, and counts all of them.
 *
 * Bounded: what waits is at most WAITING_MAX records; older ones are let go and counted, never silently.
 */
import type { LogRecord } from './source.ts'

const WAITING_MAX = 20_000
const RATE_WINDOW_MS = 3000

export interface Tail {
  readonly paused: boolean
  readonly waiting: number
  /** Rows let go because they came faster than a list can hold while paused. */
  readonly missed: number
  rate(): number
  setPaused(paused: boolean): void
  /** Ends with the reader. Rejects as it does. */
  run(batches: AsyncIterable<readonly LogRecord[]>): Promise<void>
}

export function createTail(onRecords: (records: readonly LogRecord[]) => void, now = () => performance.now()): Tail {
  const arrivals: { atMs: number; records: number }[] = []
  let waiting: LogRecord[] = []
  let paused = false
  let missed = 0
  let asked = false

  const flush = () => {
    asked = false
    if (paused || waiting.length === 0) return
    const ready = waiting
    waiting = []
    onRecords(ready)
  }
  const ask = () => {
    if (asked) return
    asked = true
    // Frames stop in a hidden tab; the list is not seen there, and what waits is bounded.
    requestAnimationFrame(flush)
  }
  const forgetOld = () => {
    while (arrivals[0] && now() - arrivals[0].atMs > RATE_WINDOW_MS) arrivals.shift()
  }
  return {
    get paused() {
      return paused
    },
    get waiting() {
      return waiting.length
    },
    get missed() {
      return missed
    },
    rate() {
      forgetOld()
      return arrivals.reduce((sum, each) => sum + each.records, 0) / (RATE_WINDOW_MS / 1000)
    },
    setPaused(next) {
      paused = next
      if (!paused) ask()
    },
    async run(batches) {
      for await (const records of batches) {
        forgetOld()
        arrivals.push({ atMs: now(), records: records.length })
        for (const record of records) waiting.push(record)
        if (waiting.length > WAITING_MAX) {
          missed += waiting.length - WAITING_MAX
          waiting = waiting.slice(-WAITING_MAX)
        }
        ask()
      }
    },
  }
}
