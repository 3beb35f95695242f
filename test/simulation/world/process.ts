/**
 * A program that runs in a simulated world: a relay, a tab, a Kafka client. It has a clock of its machine, and it can be
 * killed (nothing of it ever happens again) and frozen (everything of it happens later, in the same order).
 */
import type { Clock, Timer } from '../../../protocol/lib/clock.ts'
import type { Dice } from './dice.ts'
import type { Scheduler } from './scheduler.ts'

/** A machine's wall clock. Survives the programs that read it. */
export interface WallClock {
  /** What it shows beyond virtual time. */
  offsetMs: number
}

/** How late a timer may fire. */
const TIMER_LATE_MS_MAX = 1

export class Process {
  readonly name: string
  readonly clock: Clock
  readonly #scheduler: Scheduler
  readonly #dice: Dice
  readonly #onKill = new Set<() => void>()
  #frozenUntil = 0
  #isAlive = true

  constructor(name: string, scheduler: Scheduler, dice: Dice, wall: WallClock) {
    this.name = name
    this.#scheduler = scheduler
    this.#dice = dice
    // Programs of one machine don't agree on when monotonic time began.
    const monotonicStart = dice.whole(0, 1_000_000) - scheduler.now
    this.clock = {
      now: () => Math.floor(wall.offsetMs + scheduler.now),
      monotonic: () => monotonicStart + scheduler.now,
      setTimer: (delayMs, fire) => this.after(delayMs + dice.next() * TIMER_LATE_MS_MAX, fire),
      nextTurn: (run) => void this.after(0, run),
    }
  }

  get isAlive(): boolean {
    return this.#isAlive
  }

  get isFrozen(): boolean {
    return this.#frozenUntil > this.#scheduler.now
  }

  /** When it will have thawed, or now. */
  get awakeAt(): number {
    return Math.max(this.#scheduler.now, this.#frozenUntil)
  }

  after(delayMs: number, run: () => void): Timer {
    let isCancelled = false
    let timer = this.#scheduler.after(delayMs, () => fire())
    const fire = () => {
      if (!this.#isAlive || isCancelled) return
      if (this.isFrozen) timer = this.#scheduler.after(this.#frozenUntil - this.#scheduler.now, fire)
      else run()
    }
    return {
      cancel() {
        isCancelled = true
        timer.cancel()
      },
    }
  }

  /** A call into the world outside: its effect happens after a while, unless the process has died. */
  call<T>(delayMs: number, effect: () => T | Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.after(delayMs, () => {
        try {
          resolve(effect())
        } catch (error) {
          reject(error)
        }
      })
    })
  }

  sleep(ms: number): Promise<void> {
    return this.call(ms, () => {})
  }

  freeze(ms: number): void {
    this.#frozenUntil = Math.max(this.#frozenUntil, this.#scheduler.now + ms)
  }

  /** What the system does when a program is gone: close its files, reset its connections. */
  onKill(act: () => void): () => void {
    this.#onKill.add(act)
    return () => this.#onKill.delete(act)
  }

  kill(): void {
    if (!this.#isAlive) return
    this.#isAlive = false
    for (const act of this.#onKill) act()
    this.#onKill.clear()
  }

  get dice(): Dice {
    return this.#dice
  }
}
