/** Who waits until everything that was held has been released. */
export class Releases {
  #held = 0
  #waiting: Array<() => void> = []

  /** Counts what `release` lets go of. */
  also(release: () => void): () => void {
    this.#held++
    return () => {
      release()
      this.#held--
      if (this.#held > 0) return
      for (const proceed of this.#waiting.splice(0)) proceed()
    }
  }

  /** Resolves at once when nothing is held. */
  free(): Promise<void> {
    if (this.#held === 0) return Promise.resolve()
    return new Promise((resolve) => this.#waiting.push(resolve))
  }
}
