/**
 * Connections to single brokers of an Apache Kafka, beside the one that was opened first: made when one is needed, kept
 * while they hold, and never tried again by themselves, since the next call may have to go elsewhere.
 */
import { OttlaError } from './errors.ts'
import type { Session } from './session.ts'
import { type BrokerAddress, kafkaUrl } from './transport/kafka-url.ts'

export class BrokerSessions {
  readonly #open: (url: string) => Session
  readonly #sessions = new Map<string, Promise<Session>>()

  constructor(open: (url: string) => Session) {
    this.#open = open
  }

  /** Live. Rejects DISCONNECTED when the broker cannot be reached. */
  session(broker: BrokerAddress): Promise<Session> {
    const url = kafkaUrl(broker)
    const known = this.#sessions.get(url)
    if (known) return known
    const opening = this.#connect(url)
    this.#sessions.set(url, opening)
    opening.catch(() => this.#sessions.delete(url))
    return opening
  }

  async close(): Promise<void> {
    const all = [...this.#sessions.values()]
    this.#sessions.clear()
    for (const opening of all) await opening.then((session) => session.close()).catch(() => {})
  }

  #connect(url: string): Promise<Session> {
    const session = this.#open(url)
    return new Promise((resolve, reject) => {
      session.onState((state) => {
        if (state.phase === 'live') return resolve(session)
        if (state.phase === 'connecting') return
        this.#sessions.delete(url)
        const error = 'error' in state ? state.error : null
        reject(error ? OttlaError.fromInfo(error) : new OttlaError('CLOSED', { message: `${url} was closed` }))
        void session.close()
      })
    })
  }
}
