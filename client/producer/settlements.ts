/**
 * Brings the core's answers about writes back to those who wait for them. One for all topics of a client.
 *
 * Invariant: an id is known from before its `enqueue` until its first outcome, so no answer can come too early. Bounded
 * by what the outbox holds.
 */
import type { Core, Settled } from '../core.ts'
import { OttlaError } from '../errors.ts'

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

  /** Whoever still waits hears that the client was closed; what is stored goes out all the same, or the next time. */
  stop(): void {
    this.#stop()
    const error = new OttlaError('CLOSED', { message: 'this client was closed' }).toInfo()
    for (const id of this.#waiting.keys()) this.#settle({ id, outcome: 'unknown', error })
  }

  #settle(settled: Settled): void {
    const settle = this.#waiting.get(settled.id)
    if (!settle) return
    this.#waiting.delete(settled.id)
    settle(settled)
  }
}
