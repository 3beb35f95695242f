/**
 * How fast work in the background may go. It runs in slices of a few milliseconds; after each the doors have a turn: for
 * four times as long while somebody writes, and until the disk has had its share.
 */
import { type Clock, sleep } from '../../../protocol/lib/clock.ts'
import { nextTurn } from '../../next-turn.ts'

export interface Pace {
  /** Whether the slice is over. Cheap: ask between any two records. */
  readonly isDue: boolean
  /** Bytes read or written. */
  spend(bytes: number): void
  /** Ends the slice; resolves when the next may begin. Throws what `stop` was told. */
  rest(): Promise<void>
}

const SLICE_MS = 4
const REST_SHARE_BUSY = 4

/** Commits over all logs of a relay: how many are being written, and how many were begun. */
export interface CommitActivity {
  running: number
  begun: number
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
  #commitsBegun: number

  constructor(options: SlicedPaceOptions) {
    this.#options = options
    this.#commitsBegun = options.commits.begun
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
    const isBusy = commits.running > 0 || commits.begun !== this.#commitsBegun
    const diskMs = (this.#spentBytes / bytesPerSecondMax()) * 1000 - sliceMs
    const restMs = Math.max(isBusy ? sliceMs * REST_SHARE_BUSY : 0, diskMs)
    if (restMs >= 1) await sleep(clock, restMs, signal)
    else await nextTurn(clock)
    this.#spentBytes = 0
    this.#commitsBegun = commits.begun
    this.#sliceStartedMs = clock.monotonic()
  }
}

/** As fast as it goes: for tests, and for what nobody waits behind. */
export const unpaced: Pace = { isDue: false, spend: () => {}, rest: async () => {} }
