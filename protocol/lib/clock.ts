/**
 * Time as a parameter. Everything that waits or reads the time takes a Clock, so that a test (or a simulation) moves
 * time by hand and the same code runs to the millisecond the same way twice.
 *
 * Durations are measured with `monotonic()`; `now()` is for timestamps only, because the wall clock jumps.
 */
export interface Timer {
  /** Idempotent; a cancelled timer never fires. */
  cancel(): void
}

export interface Clock {
  /** Wall clock, milliseconds since the epoch. May jump in either direction. */
  now(): number
  /** Milliseconds from an arbitrary start; never goes back. */
  monotonic(): number
  setTimer(delayMs: number, fire: () => void): Timer
  /** Runs when everything that is due in this turn of the event loop has run. Left out: the platform's own turns. */
  nextTurn?(run: () => void): void
}

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  setTimer(delayMs, fire) {
    const handle = setTimeout(fire, delayMs)
    return { cancel: () => clearTimeout(handle) }
  },
}

/** Resolves after `delayMs`, or rejects with the signal's reason as soon as it aborts. */
export function sleep(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason)
    const timer = clock.setTimer(delayMs, () => {
      signal?.removeEventListener('abort', onAbort)
      resolve()
    })
    const onAbort = () => {
      timer.cancel()
      reject(signal?.reason)
    }
    signal?.addEventListener('abort', onAbort, { once: true })
  })
}

interface PendingTimer {
  at: number
  order: number
  fire: () => void
}

/** A clock that stands still until it is moved. Timers fire in order of their time, ties in order of their making. */
export class HandClock implements Clock {
  #monotonic = 0
  #wall: number
  #order = 0
  #timers: PendingTimer[] = []

  constructor(wallMs = 1_700_000_000_000) {
    this.#wall = wallMs
  }

  /** Whole milliseconds, as of every wall clock; timers may be due between two. */
  now(): number {
    return Math.floor(this.#wall)
  }

  monotonic(): number {
    return this.#monotonic
  }

  setTimer(delayMs: number, fire: () => void): Timer {
    const timer = { at: this.#monotonic + Math.max(0, delayMs), order: this.#order++, fire }
    this.#timers.push(timer)
    return { cancel: () => this.#remove(timer) }
  }

  /** When the next timer is due, in `monotonic()` terms, or undefined when none waits. */
  get nextTimerAt(): number | undefined {
    return this.#earliest()?.at
  }

  /** Moves both clocks on and fires every timer that falls due, each at its own instant. */
  advance(ms: number): void {
    const end = this.#monotonic + ms
    for (let timer = this.#earliest(); timer && timer.at <= end; timer = this.#earliest()) {
      this.#moveTo(timer.at)
      this.#remove(timer)
      timer.fire()
    }
    this.#moveTo(end)
  }

  /** Moves on like `advance`, but lets promise callbacks run between two timers. */
  async advanceAsync(ms: number): Promise<void> {
    const end = this.#monotonic + ms
    await settle()
    for (let timer = this.#earliest(); timer && timer.at <= end; timer = this.#earliest()) {
      this.#moveTo(timer.at)
      this.#remove(timer)
      timer.fire()
      await settle()
    }
    this.#moveTo(end)
    await settle()
  }

  /** Sets the wall clock alone, as NTP or a user would. */
  jumpWallTo(ms: number): void {
    this.#wall = ms
  }

  #moveTo(monotonic: number): void {
    this.#wall += monotonic - this.#monotonic
    this.#monotonic = monotonic
  }

  #earliest(): PendingTimer | undefined {
    let first: PendingTimer | undefined
    for (const timer of this.#timers) {
      if (!first || timer.at < first.at || (timer.at === first.at && timer.order < first.order)) first = timer
    }
    return first
  }

  #remove(timer: PendingTimer): void {
    const index = this.#timers.indexOf(timer)
    if (index >= 0) this.#timers.splice(index, 1)
  }
}

async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await Promise.resolve()
}
