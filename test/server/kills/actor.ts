/** Somebody who works with a relay that dies again and again: comes back until told to stop, and finishes what it began. */
import { RelayClient } from '../../support/relay-client.ts'

const RETRY_MS = 10

export abstract class Actor {
  readonly name: string
  protected isStopping = false
  /** Answers that nobody should get. */
  readonly complaints: string[] = []
  readonly #url: () => string
  #client: RelayClient | undefined

  constructor(name: string, url: () => string) {
    this.name = name
    this.#url = url
  }

  /** Until `stop` is called and nothing is left to do. */
  async run(): Promise<void> {
    while (!this.isStopping || this.hasWork) {
      try {
        const client = await RelayClient.open(this.#url())
        this.#client = client
        // A call on a connection that has ended already gets no answer at all.
        await Promise.race([this.work(client), endOf(client)])
      } catch {
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS))
      }
      this.#client?.socket.terminate()
    }
  }

  stop(): void {
    this.isStopping = true
  }

  /** As a phone that leaves the network. */
  disconnect(): void {
    this.#client?.socket.terminate()
  }

  protected get hasWork(): boolean {
    return false
  }

  /** On one connection; rejects when that ends. Returns when there is nothing to do any more. */
  protected abstract work(client: RelayClient): Promise<void>
}

function endOf({ socket }: RelayClient): Promise<never> {
  return new Promise((_, reject) => {
    if (socket.readyState === socket.CLOSED) reject(new Error('closed'))
    else socket.once('close', () => reject(new Error('closed')))
  })
}
