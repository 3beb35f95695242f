/** A client's transport that ends in a relay of the same process: no sockets, so that a run is the same each time. */
import type { CloseReason, Transport, TransportHandlers } from '../../client/transport/transport.ts'
import { concatenate } from '../../protocol/compression.ts'
import { Connection } from '../../server/connection.ts'
import type { Frame } from '../../server/fan-out/frame.ts'
import type { Services } from '../../server/services.ts'

export function directTransport(services: Services): Transport {
  return {
    open(_url, handlers) {
      const connection = new DirectConnection(services, handlers)
      return {
        bufferedBytes: 0,
        send(message) {
          const copy = message.slice()
          queueMicrotask(() => connection.receive(copy))
        },
        close: (code, reason) => connection.end({ code, reason, by: 'us' }),
      }
    },
  }
}

/** The relay's end. */
class DirectConnection extends Connection {
  readonly unsentBytes = 0
  readonly advertised = { host: '127.0.0.1', port: 1 }
  readonly #handlers: TransportHandlers
  #isOver = false

  constructor(services: Services, handlers: TransportHandlers) {
    super(services, 'here', services.clock.monotonic())
    this.#handlers = handlers
    queueMicrotask(() => {
      if (!this.#isOver) handlers.onOpen()
    })
  }

  sendFrame({ bytes, payloadAt }: Frame): void {
    this.#give(bytes.subarray(payloadAt))
  }

  sendMessage(first: Uint8Array, headroom: number, rest: readonly Uint8Array[] = []): void {
    this.#give(concatenate([first.subarray(headroom), ...rest]))
  }

  close(code: number, reason: string): void {
    queueMicrotask(() => this.end({ code, reason, by: 'relay' }))
  }

  end(reason: CloseReason): void {
    if (this.#isOver) return
    this.#isOver = true
    this.onClosed()
    this.#handlers.onClose(reason)
  }

  protected limitRequests(): void {}
  protected pauseReading(): void {}
  protected resumeReading(): void {}

  #give(message: Uint8Array): void {
    // A plain array, whatever the relay's own is a view of; and never the relay's.
    const copy = Uint8Array.from(message)
    queueMicrotask(() => {
      if (!this.#isOver) this.#handlers.onMessage(copy)
    })
  }
}
