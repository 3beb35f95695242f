import type { OttlaError } from '../errors.ts'

/** What writes pass on their way in: open, held while a logout is decided, or shut for good. */
export class Gate {
  #held: Promise<void> | undefined
  #open = () => {}
  #refuse: (error: OttlaError) => void = () => {}
  #inside = 0
  #emptied = () => {}

  /** Waits while it is held; rejects once it is shut. */
  async through<T>(write: () => Promise<T>): Promise<T> {
    if (this.#held) await this.#held
    this.#inside++
    try {
      return await write()
    } finally {
      this.#inside--
      if (this.#inside === 0) this.#emptied()
    }
  }

  /** Lets nobody in. Resolves when whoever was has come out. */
  async hold(): Promise<void> {
    const held = new Promise<void>((resolve, reject) => {
      this.#open = resolve
      this.#refuse = reject
    })
    // Whoever waits hears of it; there may be nobody.
    held.catch(() => {})
    this.#held = held
    if (this.#inside > 0) await new Promise<void>((resolve) => (this.#emptied = resolve))
  }

  release(): void {
    this.#held = undefined
    this.#open()
  }

  /** It is held already. */
  shut(error: OttlaError): void {
    this.#refuse(error)
  }
}
