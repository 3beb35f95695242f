/**
 * How much room the disk has, for all logs of a relay: two watermarks, so that a full disk is met by refusals that clients
 * repeat, and not by writes that fail.
 *
 *   free        above low         everything
 *   low         below low         no records of producers. Commits, ends of transactions, deletions, changes of topics go on
 *   critical    below a quarter   nor new topics and partitions, nor compaction
 *
 * The disk is asked seldom, and more often the closer the end is; in between what logs take in is counted against what was
 * free. Everything goes on by itself when there is room again, within two seconds.
 */
import type { Clock, Timer } from '../../protocol/lib/clock.ts'
import type { Files } from './files.ts'

export type SpaceLevel = 'free' | 'low' | 'critical'

const CRITICAL_SHARE = 0.25
/** Room beyond the watermark before writing goes on, so that it does not stop again at once. */
const RESUME_SHARE = 1.05
const LOOK_EVERY_MS = 2000
const LOOK_EVERY_MS_SCARCE = 1000
/** Of the room above the watermark; when logs took so much, it is time to look. */
const LOOK_AFTER_SHARE = 0.25

export interface DiskSpaceOptions {
  files: Files
  dir: string
  clock: Clock
  lowBytes: number
  /** Of the whole disk; the lesser of both is the watermark. */
  lowPercent: number
  changed: (space: DiskSpace) => void
}

export class DiskSpace {
  readonly #options: DiskSpaceOptions
  #level: SpaceLevel = 'free'
  #freeBytes = Number.POSITIVE_INFINITY
  /** Since the last look began; and before that, since the one before: not all of it may have been written by then. */
  #takenBytes = 0
  #olderBytes = 0
  #lowBytes: number
  #timer: Timer | undefined
  #looking: Promise<void> | undefined
  #isStopped = false

  constructor(options: DiskSpaceOptions) {
    this.#options = options
    this.#lowBytes = options.lowBytes
  }

  get level(): SpaceLevel {
    return this.#level
  }

  get status() {
    const [lowBytes, criticalBytes] = [this.#lowBytes, this.#criticalBytes]
    return { level: this.#level, freeBytes: this.#freeBytes, lowBytes, criticalBytes }
  }

  get #criticalBytes(): number {
    return Math.floor(this.#lowBytes * CRITICAL_SHARE)
  }

  /** Looks for the first time, and from then on. */
  async start(): Promise<void> {
    const { files, dir, lowBytes, lowPercent } = this.#options
    const totalBytes = (await files.totalBytes?.(dir).catch(() => undefined)) ?? Number.POSITIVE_INFINITY
    this.#lowBytes = Math.min(lowBytes, Math.floor((totalBytes * lowPercent) / 100))
    await this.#look()
  }

  async stop(): Promise<void> {
    this.#isStopped = true
    this.#timer?.cancel()
    await this.#looking
  }

  /** A log is about to write so much. */
  take(bytes: number): void {
    this.#takenBytes += bytes
    if (this.#takenBytes > (this.#freeBytes - this.#lowBytes) * LOOK_AFTER_SHARE) this.#lookNow()
    this.#judge()
  }

  #lookNow(): void {
    if (this.#looking || this.#isStopped) return
    this.#timer?.cancel()
    void this.#look()
  }

  #look(): Promise<void> {
    this.#looking ??= this.#ask().finally(() => {
      this.#looking = undefined
      const everyMs = this.#level === 'free' ? LOOK_EVERY_MS : LOOK_EVERY_MS_SCARCE
      if (!this.#isStopped) this.#timer = this.#options.clock.setTimer(everyMs, () => void this.#look())
    })
    return this.#looking
  }

  async #ask(): Promise<void> {
    const { files, dir } = this.#options
    const takenBefore = this.#takenBytes
    try {
      this.#freeBytes = await files.freeBytes(dir)
      this.#takenBytes -= takenBefore
      this.#olderBytes = takenBefore
    } catch {
      // What was known holds until the disk can be asked.
    }
    this.#judge()
  }

  #judge(): void {
    const left = this.#freeBytes - this.#takenBytes - this.#olderBytes
    const isBelow = (bytes: number, isThere: boolean) => left < (isThere ? bytes * RESUME_SHARE : bytes)
    const before = this.#level
    if (isBelow(this.#criticalBytes, before === 'critical')) this.#level = 'critical'
    else this.#level = isBelow(this.#lowBytes, before !== 'free') ? 'low' : 'free'
    if (this.#level !== before) this.#options.changed(this)
  }
}
