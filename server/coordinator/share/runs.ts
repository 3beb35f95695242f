/**
 * The offsets that a share partition has in hand, as runs of neighbours that stand alike:
 *
 *     start                                                          end
 *       | acquired by a | acknowledged | available, tried twice | ... | never handed out
 *
 * Invariants: runs lie side by side from `start` to `end`; no two neighbours stand alike; the first is not settled and the
 * last is not untouched once `trim` was called. So a partition that is read in order has one run or none.
 */
export type RunState = 'available' | 'acquired' | 'acknowledged' | 'archived'

export interface Standing {
  readonly state: RunState
  /** How often it was handed out. */
  readonly deliveryCount: number
  /** While it is acquired: by whom, and until when (monotonic). */
  readonly memberId: string | null
  readonly lockedUntil: number
}

export interface Run extends Standing {
  readonly first: number
  readonly last: number
}

export const UNTOUCHED: Standing = { state: 'available', deliveryCount: 0, memberId: null, lockedUntil: 0 }

/** Nothing more will happen to it. */
export const isSettled = ({ state }: Standing): boolean => state === 'acknowledged' || state === 'archived'

const sizeOf = ({ first, last }: Run): number => last - first + 1

export class Runs {
  #runs: Run[] = []
  #start: number

  constructor(start: number) {
    this.#start = start
  }

  get start(): number {
    return this.#start
  }

  get end(): number {
    const last = this.#runs.at(-1)
    return last ? last.last + 1 : this.#start
  }

  /** In order. */
  get all(): readonly Run[] {
    return this.#runs
  }

  /** Offsets that are not settled. */
  get openCount(): number {
    let count = 0
    for (const run of this.#runs) if (!isSettled(run)) count += sizeOf(run)
    return count
  }

  get settledCount(): number {
    return this.end - this.#start - this.openCount
  }

  /** Those that have an offset in common with [first, last]. */
  *touching(first: number, last: number): Generator<Run> {
    for (let index = this.#indexOf(first); index < this.#runs.length; index++) {
      const run = this.#runs[index]!
      if (run.first > last) return
      yield run
    }
  }

  /** Gives all of [first, last] one standing. What lies between the end and `first` was never touched. */
  set(first: number, last: number, standing: Standing): void {
    const from = Math.max(first, this.#start)
    if (last < from) return
    if (from > this.end) this.#runs.push({ first: this.end, last: from - 1, ...UNTOUCHED })
    const index = this.#indexOf(from)
    let next = index
    while (next < this.#runs.length && this.#runs[next]!.first <= last) next++
    const replaced = this.#runs.slice(index, next)
    const { state, deliveryCount, memberId, lockedUntil } = standing
    const pieces: Run[] = []
    const [head, tail] = [replaced[0], replaced.at(-1)]
    if (head && head.first < from) pieces.push({ ...head, last: from - 1 })
    pieces.push({ first: from, last, state, deliveryCount, memberId, lockedUntil })
    if (tail && tail.last > last) pieces.push({ ...tail, first: last + 1 })
    this.#splice(index, next, pieces)
  }

  /** Lets go of settled offsets at the front, and of untouched ones at the back. */
  trim(): void {
    let count = 0
    while (count < this.#runs.length && isSettled(this.#runs[count]!)) count++
    if (count > 0) this.dropBelow(this.#runs[count - 1]!.last + 1)
    const last = this.#runs.at(-1)
    if (last && last.state === 'available' && last.deliveryCount === 0) this.#runs.pop()
  }

  dropBelow(offset: number): void {
    if (offset <= this.#start) return
    const index = this.#indexOf(offset)
    this.#runs.splice(0, index)
    const head = this.#runs[0]
    if (head && head.first < offset) this.#runs[0] = { ...head, first: offset }
    this.#start = offset
  }

  /** There are no such offsets any more. */
  dropFrom(offset: number): void {
    if (offset <= this.#start) {
      this.#runs = []
      this.#start = offset
      return
    }
    const index = this.#indexOf(offset)
    const cut = this.#runs[index]
    this.#runs.length = Math.min(index, this.#runs.length)
    if (cut && cut.first < offset) this.#runs.push({ ...cut, last: offset - 1 })
  }

  /** Of the run that holds the offset, or where it would be. */
  #indexOf(offset: number): number {
    let low = 0
    let high = this.#runs.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#runs[middle]!.last < offset) low = middle + 1
      else high = middle
    }
    return low
  }

  /** Puts pieces in the place of runs, and joins what stands alike. */
  #splice(from: number, to: number, pieces: readonly Run[]): void {
    const first = Math.max(0, from - 1)
    const joined: Run[] = []
    for (const run of [...this.#runs.slice(first, from), ...pieces, ...this.#runs.slice(to, to + 1)]) {
      const before = joined.at(-1)
      if (before && standsAlike(before, run)) joined[joined.length - 1] = { ...before, last: run.last }
      else joined.push(run)
    }
    this.#runs.splice(first, Math.min(to + 1, this.#runs.length) - first, ...joined)
  }
}

/** Of settled offsets nobody asks how they came to be so. */
function standsAlike(a: Standing, b: Standing): boolean {
  if (isSettled(a) && isSettled(b)) return true
  return (
    a.state === b.state &&
    a.deliveryCount === b.deliveryCount &&
    a.memberId === b.memberId &&
    a.lockedUntil === b.lockedUntil
  )
}
