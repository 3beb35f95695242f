/** One thing after another: what is begun in a turn sees what the one before has left, whole. */
export class Turns {
  #last: Promise<unknown> = Promise.resolve()
  #waiting = 0

  get isIdle(): boolean {
    return this.#waiting === 0
  }

  take<T>(work: () => Promise<T>): Promise<T> {
    this.#waiting++
    const turn = this.#last.then(work).finally(() => this.#waiting--)
    this.#last = turn.catch(() => {})
    return turn
  }

  /** Resolves when all that was begun until now has ended. */
  async settled(): Promise<void> {
    await this.#last
  }
}
