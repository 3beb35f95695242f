/**
 * The writes of this page whose outcome it hasn't heard yet.
 *
 * A host that dies takes its unsent news with it. So after each re-attachment, and when a host says that it left some
 * out, the stored ones are asked for by id. One that isn't stored yet is not asked for: its `enqueue` is repeated, and
 * until then the outbox would rightly say that it never heard of it.
 */
import type { Settled } from '../client/core.ts'

const IDS_PER_CALL_MAX = 1_000

export class Unsettled {
  readonly #writes = new Map<string, { isStored: boolean }>()

  get isEmpty(): boolean {
    return this.#writes.size === 0
  }

  began(id: string): void {
    this.#writes.set(id, { isStored: false })
  }

  stored(id: string): void {
    const write = this.#writes.get(id)
    if (write) write.isStored = true
  }

  /** It was never stored, or was taken back: nothing will be heard of it. */
  forget(id: string): void {
    this.#writes.delete(id)
  }

  heard(settled: readonly Settled[]): void {
    for (const { id } of settled) this.#writes.delete(id)
  }

  /** Asks for all that are stored; returns what nobody has told yet. */
  async ask(outcomes: (ids: string[]) => Promise<Settled[]>): Promise<Settled[]> {
    const ids = [...this.#writes].filter(([, write]) => write.isStored).map(([id]) => id)
    const answered: Settled[] = []
    for (let at = 0; at < ids.length; at += IDS_PER_CALL_MAX) {
      answered.push(...(await outcomes(ids.slice(at, at + IDS_PER_CALL_MAX))))
    }
    // An event may have overtaken the answer.
    const news = answered.filter(({ id }) => this.#writes.has(id))
    this.heard(news)
    return news
  }
}
