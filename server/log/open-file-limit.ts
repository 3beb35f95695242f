/**
 * How many closed segments may keep a file open, and their index in memory, while nobody reads them. Shared by all logs
 * of a relay, so descriptors don't grow with the data. The segments that are written to don't count.
 */
export interface Closable {
  /** Closes if nobody is using it. Returns whether it is closed now. */
  closeIdle(): boolean
}

export class OpenFileLimit {
  readonly #max: number
  readonly #open = new Set<Closable>()

  constructor(max = 64) {
    this.#max = max
  }

  /** `file` was just used: the last to go. Those used longest ago are closed while there are too many. */
  touch(file: Closable): void {
    this.#open.delete(file)
    this.#open.add(file)
    if (this.#open.size <= this.#max) return
    for (const candidate of this.#open) {
      if (this.#open.size <= this.#max) return
      if (candidate !== file && candidate.closeIdle()) this.#open.delete(candidate)
    }
  }

  forget(file: Closable): void {
    this.#open.delete(file)
  }
}
