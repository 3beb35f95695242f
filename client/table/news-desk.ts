/**
 * What a view tells: a step's changes at once; "read again" at most every so often, for a table that takes in a whole log
 * has news for each record of it; a change of state when there is one.
 */
import type { Clock, Timer } from '../../protocol/lib/clock.ts'
import type { TableChange, TableState } from './seam.ts'

const RESET_EVERY_MS = 100

export class NewsDesk {
  readonly #clock: Clock
  readonly #post: (changes: TableChange[], isReset: boolean) => void
  #timer: Timer | undefined
  #isResetDue = false
  #toldState = ''

  constructor(clock: Clock, post: (changes: TableChange[], isReset: boolean) => void) {
    this.#clock = clock
    this.#post = post
  }

  tell(changes: TableChange[]): void {
    if (changes.length > 0) this.#post(changes, false)
  }

  reset(): void {
    this.#isResetDue = true
    if (this.#timer) return
    this.#flush()
    this.#timer = this.#clock.setTimer(RESET_EVERY_MS, () => {
      this.#timer = undefined
      if (this.#isResetDue) this.reset()
    })
  }

  stateMayHaveChanged(state: TableState): void {
    const text = JSON.stringify(state)
    if (text === this.#toldState) return
    this.#toldState = text
    // What a reset that waits would say comes first: whoever hears "ready" and reads must have everything.
    this.#post([], this.#isResetDue)
    this.#isResetDue = false
  }

  close(): void {
    this.#timer?.cancel()
  }

  #flush(): void {
    this.#isResetDue = false
    this.#post([], true)
  }
}
