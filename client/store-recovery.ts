/**
 * A database that was cleared under its core is taken into use again: once, however many calls notice. Where that fails
 * it is tried again later, and until then each write is told why.
 */
import type { Clock, Timer } from '../protocol/lib/clock.ts'
import { OttlaError } from './errors.ts'
import { storageFailure } from './storage-failure.ts'

const DELAY_MS_MIN = 1_000
const DELAY_MS_MAX = 30_000

export interface StoreRecoveryOptions {
  clock: Clock
  isEnding: () => boolean
  /** Claims the database, and puts back what is in memory. */
  beginAnew: () => Promise<void>
  failed: (error: OttlaError) => void
}

export class StoreRecovery {
  readonly #options: StoreRecoveryOptions
  #running: Promise<void> | undefined
  #broken: OttlaError | undefined
  #timer: Timer | undefined
  #delayMs = DELAY_MS_MIN

  constructor(options: StoreRecoveryOptions) {
    this.#options = options
  }

  begin(): void {
    if (this.#running || this.#timer || this.#options.isEnding()) return
    this.#running = this.#begin().finally(() => {
      this.#running = undefined
    })
  }

  async #begin(): Promise<void> {
    try {
      await this.#options.beginAnew()
      this.#broken = undefined
      this.#delayMs = DELAY_MS_MIN
    } catch (failure) {
      this.#broken = storageFailure(failure)
      this.#options.failed(this.#broken)
      this.#beginLater()
    }
  }

  #beginLater(): void {
    if (this.#options.isEnding()) return
    this.#timer = this.#options.clock.setTimer(this.#delayMs, () => {
      this.#timer = undefined
      this.begin()
    })
    this.#delayMs = Math.min(DELAY_MS_MAX, this.#delayMs * 2)
  }

  /** Resolves when none is under way. */
  async settled(): Promise<void> {
    await this.#running
  }

  /** Makes the call on a database that is whole; once more if it found that it was not. */
  async through<T>(call: () => Promise<T>): Promise<T> {
    await this.#whole()
    try {
      return await call()
    } catch (failure) {
      if (!(failure instanceof OttlaError) || failure.code !== 'STORAGE_LOST' || !this.#running) throw failure
      await this.#whole()
      return await call()
    }
  }

  async #whole(): Promise<void> {
    await this.#running
    if (this.#broken) throw this.#broken
  }

  close(): void {
    this.#timer?.cancel()
  }
}
