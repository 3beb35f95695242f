/**
 * Log lines that strangers can cause: a port scanner must not fill a disk.
 *
 * Of each event a few lines a minute are written; the others are counted, and told in one line when the minute is over.
 * Events are constants of the code, so there are few.
 */
import type { Clock, Timer } from '../protocol/lib/clock.ts'
import type { LogFields, Logger } from './logger.ts'

const LINES_MAX = 5
const WINDOW_MS = 60_000

interface Window {
  lines: number
  untold: number
  timer: Timer
}

export class LimitedLog {
  readonly #logger: Logger
  readonly #clock: Clock
  readonly #windows = new Map<string, Window>()

  constructor(logger: Logger, clock: Clock) {
    this.#logger = logger
    this.#clock = clock
  }

  warn(event: string, fields: LogFields): void {
    const window = this.#windows.get(event) ?? this.#open(event)
    if (window.lines < LINES_MAX) {
      window.lines++
      this.#logger.warn(event, fields)
    } else {
      window.untold++
    }
  }

  /** Tells what was counted, and lets go of the timers. */
  close(): void {
    for (const [event, window] of this.#windows) this.#end(event, window)
  }

  #open(event: string): Window {
    const timer = this.#clock.setTimer(WINDOW_MS, () => this.#end(event, window))
    const window: Window = { lines: 0, untold: 0, timer }
    this.#windows.set(event, window)
    return window
  }

  #end(event: string, { untold, timer }: Window): void {
    timer.cancel()
    this.#windows.delete(event)
    if (untold > 0)
      this.#logger.warn(event, { count: untold, note: 'further ones within a minute, not told one by one' })
  }
}
