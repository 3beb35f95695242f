/** A core's status as it is told: a change of the connection at once, everything else at most so often. */
import type { Clock, Timer } from '../protocol/lib/clock.ts'
import { Emitter } from '../protocol/lib/events.ts'
import type { Status } from './core.ts'

const EVERY_MS = 50
/** A change of the clock's offset by this much is told. */
const CLOCK_NEWS_MS = 25

export interface StatusFeedOptions {
  clock: Clock
  make: () => Status
  /** What changes while a core ends is told once, at its end. */
  isEnding: () => boolean
}

export class StatusFeed {
  readonly #options: StatusFeedOptions
  readonly #statuses = new Emitter<Status>()
  #status: Status | undefined
  #timer: Timer | undefined
  #toldOffsetMs = 0

  constructor(options: StatusFeedOptions) {
    this.#options = options
  }

  get current(): Status {
    this.#status ??= this.#options.make()
    return this.#status
  }

  on(listener: (status: Status) => void): () => void {
    return this.#statuses.on(listener)
  }

  changed(): void {
    this.#status = undefined
    if (this.#timer || this.#options.isEnding()) return
    this.#timer = this.#options.clock.setTimer(EVERY_MS, () => {
      this.#timer = undefined
      this.tell()
    })
  }

  tell(): void {
    this.#status = undefined
    if (this.#statuses.isUsed) this.#statuses.emit(this.current)
  }

  /** The offset wanders by a little with each look; what nobody would see is no news. */
  lookAtClock(offsetMs: number | null | undefined): void {
    if (Math.abs((offsetMs ?? 0) - this.#toldOffsetMs) < CLOCK_NEWS_MS) return
    this.#toldOffsetMs = offsetMs ?? 0
    this.changed()
  }

  end(): void {
    this.tell()
    this.#timer?.cancel()
  }
}
