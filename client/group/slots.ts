/** So many may work at a time; the others wait in the order in which they came. */
export class Slots {
  #free: number
  readonly #waiting: Array<() => void> = []

  constructor(count: number) {
    this.#free = count
  }

  /** Resolves when there is a slot, which is then the caller's until `release`. */
  take(): Promise<void> | undefined {
    if (this.#free > 0) {
      this.#free--
      return undefined
    }
    return new Promise((resolve) => this.#waiting.push(resolve))
  }

  release(): void {
    const next = this.#waiting.shift()
    if (next) next()
    else this.#free++
  }

  get areWanted(): boolean {
    return this.#waiting.length > 0
  }
}
