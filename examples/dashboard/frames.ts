/** How many frames the browser shows, and the longest of the last seconds: what a person would notice. */
const KEPT_MS = 5_000

export class Frames {
  readonly #ends: number[] = []

  /** Called in each frame, with its time. */
  tick(nowMs: number): void {
    this.#ends.push(nowMs)
    while (this.#ends[0]! < nowMs - KEPT_MS) this.#ends.shift()
  }

  get perSecond(): number {
    const [first, last] = [this.#ends[0] ?? 0, this.#ends.at(-1) ?? 0]
    return last > first ? ((this.#ends.length - 1) * 1000) / (last - first) : 0
  }

  get longestMs(): number {
    return this.#ends.reduce((longest, end, at) => Math.max(longest, at === 0 ? 0 : end - this.#ends[at - 1]!), 0)
  }
}
