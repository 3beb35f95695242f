/**
 * Virtual time. Whatever waits in a simulated world waits here; one event happens after another, and between two of them
 * every promise that can settle has settled. Time jumps from event to event, so an hour costs what happens in it.
 *
 * Invariant: the order of events depends on the seed alone. Events of one instant happen in the order in which they were
 * asked for.
 */
import type { Timer } from '../../../protocol/lib/clock.ts'

interface Event extends Timer {
  at: number
  order: number
  run: (() => void) | undefined
}

/** How many events one round of Node's loop carries. */
const TURNS_MAX = 256

export class Scheduler {
  /** Virtual milliseconds since the world began. */
  now = 0
  /** How many events have happened. */
  happened = 0
  #order = 0
  /** A binary heap, the earliest on top. */
  readonly #events: Event[] = []
  #turnsLeft = 0
  #onTurn: () => void = () => {}

  after(delayMs: number, run: () => void): Timer {
    const event: Event = {
      at: this.now + Math.max(0, delayMs),
      order: this.#order++,
      run,
      // A cancelled event stays in the heap, empty, until its time.
      cancel() {
        event.run = undefined
      },
    }
    this.#push(event)
    return event
  }

  /** Lets events happen until `isDone`, or until the time is up. Returns whether it is done. */
  async runUntil(isDone: () => boolean, deadline: number): Promise<boolean> {
    await this.#settled()
    while (!isDone()) {
      const next = this.#events[0]
      if (!next || next.at > deadline) {
        this.now = Math.max(this.now, deadline)
        return false
      }
      this.#pop()
      if (!next.run) continue
      this.now = Math.max(this.now, next.at)
      this.happened++
      next.run()
      await this.#settled()
    }
    return true
  }

  async runFor(durationMs: number): Promise<void> {
    await this.runUntil(() => false, this.now + durationMs)
  }

  /**
   * Node runs what setImmediate was given only when no promise callback and no process.nextTick callback is left, between
   * two of them as well. They are asked for many at a time, because each round of Node's loop costs a call into the system.
   * Nothing in a world may wait for anything else: a real timer or real I/O would come back at a moment that the seed does
   * not know.
   */
  #settled(): Promise<void> {
    if (this.#turnsLeft === 0) for (; this.#turnsLeft < TURNS_MAX; this.#turnsLeft++) setImmediate(this.#turn)
    return new Promise((resolve) => {
      this.#onTurn = resolve
    })
  }

  readonly #turn = () => {
    this.#turnsLeft--
    this.#onTurn()
  }

  #push(event: Event): void {
    const heap = this.#events
    let index = heap.length
    heap.push(event)
    while (index > 0) {
      const parent = (index - 1) >> 1
      if (!isBefore(event, heap[parent]!)) break
      heap[index] = heap[parent]!
      index = parent
    }
    heap[index] = event
  }

  #pop(): void {
    const heap = this.#events
    const last = heap.pop()!
    if (heap.length === 0) return
    let index = 0
    for (;;) {
      let child = index * 2 + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child++
      if (!isBefore(heap[child]!, last)) break
      heap[index] = heap[child]!
      index = child
    }
    heap[index] = last
  }
}

function isBefore(a: Event, b: Event): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order)
}
