/** Why something stands still: for as long as there is any reason. */
import type { PauseReason } from './core.ts'

export class Pauses {
  readonly #reasons = new Set<PauseReason>()

  /** What the application asked for comes before what it asked for in general. */
  get by(): PauseReason | null {
    return this.#reasons.has('asked') ? 'asked' : this.#reasons.has('metered') ? 'metered' : null
  }

  set(reason: PauseReason, isPaused: boolean): void {
    if (isPaused) this.#reasons.add(reason)
    else this.#reasons.delete(reason)
  }
}
