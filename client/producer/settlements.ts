/**
 * Brings the core's answers about writes back to those who wait for them. One for all topics of a client.
 *
 * Invariant: an id is known from before its `enqueue` until its first outcome, so no answer can come too early. Bounded
 * by what the outbox holds.
 */
import type { Core, Settled } from '../core.ts'

export class Settlements {
  readonly #waiting = new Map<string, (settled: Settled) => void>()
  readonly #stop: () => void

  constructor(core: Pick<Core, 'onSettled'>) {
    this.#stop = core.onSettled((all) => {
      for (const settled of all) this.#settle(settled)
    })
  }

  expect(id: string, settle: (settled: Settled) => void): void {
    this.#waiting.set(id, settle)
  }

  forget(id: string): void {
    this.#waiting.delete(id)
  }

  stop(): void {
    this.#stop()
    this.#waiting.clear()
  }

  #settle(settled: Settled): void {
    const settle = this.#waiting.get(settled.id)
    if (!settle) return
    this.#waiting.delete(settled.id)
    settle(settled)
  }
}
