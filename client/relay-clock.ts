/**
 * How far this device's wall clock is from the relay's, as NTP does it: a question and its answer bound the offset from both
 * sides, and the quickest pair of late says it best.
 *
 *   asked at a, the relay's clock said s, answered at b:    s - b  <=  offset  <=  s - a
 *
 * What the relay says by itself (a heartbeat) is only a lower bound, but shows when either clock was set: then, and now and
 * then, it is time to ask again. For showing ages and times; order is the log's alone.
 */
import type { Clock } from '../protocol/lib/clock.ts'

const SAMPLES_MAX = 8
/** So soon again while there are few samples, and so seldom later. */
const ASK_SOON_MS = 10_000
const ASK_EVERY_MS = 300_000
const SAMPLES_ENOUGH = 4
/** Quartz is off by this much at worst: what a sample is worth fades. */
const DRIFT = 0.0001
/** A heartbeat that is off by so much tells of a clock that was set, rather than of a slow network. */
const SUSPICIOUS_MS = 2_000

interface Sample {
  offsetMs: number
  /** Half of the round trip. */
  errorMs: number
  atMs: number
}

export class RelayClock {
  readonly #clock: Clock
  #samples: Sample[] = []
  #askedAtMs = Number.NEGATIVE_INFINITY
  #isSuspicious = false

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Add to the local wall clock to get the relay's; undefined before the first answer. */
  get offsetMs(): number | undefined {
    const best = this.#best()
    return best && Math.round(best.offsetMs)
  }

  /** The offset is right to this many milliseconds, as far as can be known. */
  get errorMs(): number | undefined {
    const best = this.#best()
    return best && Math.ceil(this.#errorOf(best))
  }

  /** Whether it would be good to ask now. */
  get isDue(): boolean {
    const waitMs = this.#samples.length < SAMPLES_ENOUGH ? ASK_SOON_MS : ASK_EVERY_MS
    return this.#isSuspicious || this.#clock.monotonic() - this.#askedAtMs >= waitMs
  }

  /** Call it when a question goes out; the returned function takes the answer. */
  ask(): (serverTimeMs: number) => void {
    const sentAtMs = this.#clock.monotonic()
    this.#askedAtMs = sentAtMs
    this.#isSuspicious = false
    return (serverTimeMs) => {
      const errorMs = (this.#clock.monotonic() - sentAtMs) / 2
      // The relay read its clock, at best guess, half-way.
      this.#add({ offsetMs: serverTimeMs - (this.#clock.now() - errorMs), errorMs, atMs: this.#clock.monotonic() })
    }
  }

  /** Something that the relay said unasked. */
  heard(serverTimeMs: number): void {
    const { offsetMs } = this
    if (offsetMs === undefined) return
    this.#isSuspicious = Math.abs(serverTimeMs - this.#clock.now() - offsetMs) > SUSPICIOUS_MS
  }

  #add(sample: Sample): void {
    // Samples that cannot both be right: one of the clocks was set between them.
    const agrees = (other: Sample) =>
      Math.abs(other.offsetMs - sample.offsetMs) <= this.#errorOf(other) + sample.errorMs + 1
    this.#samples = [...this.#samples.filter(agrees), sample].slice(-SAMPLES_MAX)
  }

  #best(): Sample | undefined {
    return this.#samples.reduce<Sample | undefined>(
      (best, each) => (best && this.#errorOf(best) < this.#errorOf(each) ? best : each),
      undefined,
    )
  }

  #errorOf({ errorMs, atMs }: Sample): number {
    return errorMs + (this.#clock.monotonic() - atMs) * DRIFT
  }
}
