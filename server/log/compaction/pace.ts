/**
 * How fast work in the background may go. It runs in slices of a few milliseconds; after each the event loop belongs to
 * the doors for at least as long, for four times as long while commits run, and until the disk has had its share.
 */
import { type Clock, sleep } from '../../../protocol/lib/clock.ts'

export interface Pace {
  /** Whether the slice is over. Cheap: ask between any two records. */
  readonly isDue: boolean
  /** Bytes read or written. */
  spend(bytes: number): void
  /** Ends the slice; resolves when the next may begin. Throws what `stop` was told. */
  rest(): Promise<void>
}

const SLICE_MS = 4
const REST_SHARE_IDLE = 1
const REST_SHARE_BUSY = 4

/** How many commits are being written, over all logs of a relay. */
export interface CommitActivity {
  running: number
}

export interface SlicedPaceOptions {
  clock: Clock
  commits: CommitActivity
  /** Bytes read and written together. */
  bytesPerSecondMax: () => number
  signal?: AbortSignal
}

export class SlicedPace implements Pace {
  readonly #options: SlicedPaceOptions
  #sliceStartedMs: number
  #spentBytes = 0

  constructor(options: SlicedPaceOptions) {
    this.#options = options
    this.#sliceStartedMs = options.clock.monotonic()
  }

  get isDue(): boolean {
    const { clock, bytesPerSecondMax } = this.#options
    if (this.#spentBytes * 1000 >= bytesPerSecondMax() * SLICE_MS) return true
    return clock.monotonic() - this.#sliceStartedMs >= SLICE_MS
  }

  spend(bytes: number): void {
    this.#spentBytes += bytes
  }

  async rest(): Promise<void> {
    const { clock, commits, bytesPerSecondMax, signal } = this.#options
    signal?.throwIfAborted()
    const sliceMs = clock.monotonic() - this.#sliceStartedMs
    const share = commits.running > 0 ? REST_SHARE_BUSY : REST_SHARE_IDLE
    const diskMs = (this.#spentBytes / bytesPerSecondMax()) * 1000 - sliceMs
    this.#spentBytes = 0
    await sleep(clock, Math.max(1, sliceMs * share, diskMs), signal)
    this.#sliceStartedMs = clock.monotonic()
  }
}

/** As fast as it goes: for tests, and for what nobody waits behind. */
export const unpaced: Pace = { isDue: false, spend: () => {}, rest: async () => {} }
