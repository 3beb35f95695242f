/**
 * The way to the host while its code is under way. Loading begins at once, and is tried again for as long as the page
 * wants a host; what is called meanwhile waits for it, and rejects DISCONNECTED when it cannot be had now.
 */
import { loadApart } from '../client/load-apart.ts'
import type { Clock, Timer } from '../protocol/lib/clock.ts'
import type { Attachment } from './attachment.ts'
import type { Reach } from './reach.ts'

const AGAIN_MS = 3_000

export class LazyReach {
  readonly #load: () => Promise<Reach>
  readonly #clock: Clock
  #reach: Reach | undefined
  #loading: Promise<Reach> | undefined
  #isStarted = false
  #again: Timer | undefined

  constructor(clock: Clock, load: () => Promise<Reach>) {
    this.#clock = clock
    this.#load = load
  }

  /** The host's, once there is one. */
  get current(): Attachment | undefined {
    return this.#reach?.current
  }

  /** While there is a host. Who waited for the code has been served by then. */
  get attached(): Reach | undefined {
    return this.current && this.#reach
  }

  /** Seeks a host, from when that is possible. */
  start(): void {
    this.#isStarted = true
    if (this.#reach) this.#reach.start()
    else void this.load().catch(() => this.#startLater())
  }

  stop(): void {
    this.#isStarted = false
    this.#again?.cancel()
    this.#again = undefined
    this.#reach?.stop()
  }

  load(): Promise<Reach> {
    this.#loading ??= loadApart('reaching the worker', this.#load).then(
      (reach) => {
        this.#reach = reach
        if (this.#isStarted) reach.start()
        return reach
      },
      (failure: unknown) => {
        this.#loading = undefined
        throw failure
      },
    )
    return this.#loading
  }

  #startLater(): void {
    if (!this.#isStarted) return
    this.#again ??= this.#clock.setTimer(AGAIN_MS, () => {
      this.#again = undefined
      this.start()
    })
  }
}
