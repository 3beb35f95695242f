/**
 * What a view tells: a step's changes at once; "read again" at most every so often, for a table that takes in a whole log
 * has news for each record of it; a change of state when there is one.
 */
import type { Clock, Timer } from '../../protocol/lib/clock.ts'
import type { TableChange, TableState } from './seam.ts'

const RESET_EVERY_MS = 100

export class NewsDesk {
  readonly #clock: Clock
  readonly #post: (changes: TableChange[], isReset: boolean) => TableState
  #timer: Timer | undefined
  #isResetDue = false
  #toldState = ''

  /** `post` tells the table's state too, and gives it back. */
  constructor(clock: Clock, post: (changes: TableChange[], isReset: boolean) => TableState) {
    this.#clock = clock
    this.#post = post
  }

  tell(changes: TableChange[]): void {
    if (changes.length > 0) this.#say(changes, false)
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
    if (JSON.stringify(state) === this.#toldState) return
    // What a reset that waits would say comes first: whoever hears "ready" and reads must have everything.
    this.#say([], this.#isResetDue)
    this.#isResetDue = false
  }

  close(): void {
    this.#timer?.cancel()
  }

  #flush(): void {
    this.#isResetDue = false
    this.#say([], true)
  }

  #say(changes: TableChange[], isReset: boolean): void {
    this.#toldState = JSON.stringify(this.#post(changes, isReset))
  }
}
