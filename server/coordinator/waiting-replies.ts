/**
 * Requests that wait for others: joins and syncs. A ticket is answered once, or dropped when its connection closes; what
 * comes for a dropped ticket is passed over, as the member it stood for stays.
 */
import type { Ticket } from './group-member.ts'
import type { JoinReply, Reply, SyncReply } from './group-state.ts'

/** Has its listener called when the request's connection ends; gives back the function that takes it off. */
export type OnceClosed = (listener: () => void) => () => void

interface Waiting {
  kind: Reply['kind']
  settle(body: JoinReply | SyncReply): void
}

export class WaitingReplies {
  readonly #waiting = new Map<Ticket, Waiting>()
  #lastTicket: Ticket = 0

  get size(): number {
    return this.#waiting.size
  }

  join(onceClosed: OnceClosed): { ticket: Ticket; answered: Promise<JoinReply> } {
    return this.#wait<JoinReply>('join', onceClosed)
  }

  sync(onceClosed: OnceClosed): { ticket: Ticket; answered: Promise<SyncReply> } {
    return this.#wait<SyncReply>('sync', onceClosed)
  }

  answer({ ticket, body }: Pick<Reply, 'ticket' | 'body'>): void {
    this.#waiting.get(ticket)?.settle(body)
  }

  /** Everybody gets the answer that `refusal` makes for their kind. */
  answerAll(refusal: (kind: Reply['kind']) => JoinReply | SyncReply): void {
    for (const { kind, settle } of [...this.#waiting.values()]) settle(refusal(kind))
  }

  #wait<Body>(kind: Reply['kind'], onceClosed: OnceClosed): { ticket: Ticket; answered: Promise<Body> } {
    const ticket = ++this.#lastTicket
    const answered = new Promise<Body>((resolve) => {
      const stopWatching = onceClosed(() => this.#waiting.delete(ticket))
      this.#waiting.set(ticket, {
        kind,
        settle: (body) => {
          stopWatching()
          this.#waiting.delete(ticket)
          resolve(body as Body)
        },
      })
    })
    return { ticket, answered }
  }
}
