/**
 * The WebSocket transport: the platform's own where there is one (browsers, workers, edge runtimes, Node 22+), else one
 * that is handed in. See ws-package.ts for Node 20.
 *
 * Browser facts that shape this file: a socket in a black hole fires no event at all, and `close()` then waits for a
 * closing handshake that never comes, so closing from our side tells the handlers at once and lets the socket go. An
 * `error` event says nothing; the `close` that follows it does. `bufferedAmount` is all that shows a network that takes
 * nothing, so `send` is bounded by whoever calls it (connection.ts).
 */
import type { CloseReason, Transport, TransportConnection } from './transport.ts'

/** Just what is used of a WebSocket; the platform's and the `ws` package's both fit. */
export interface WebSocketLike {
  binaryType: string
  readonly readyState: number
  readonly bufferedAmount: number
  onopen: ((event: never) => void) | null
  onmessage: ((event: never) => void) | null
  onerror: ((event: never) => void) | null
  onclose: ((event: never) => void) | null
  send(message: Uint8Array<ArrayBuffer>): void
  close(code?: number, reason?: string): void
}

export type WebSocketConstructor = new (url: string) => WebSocketLike

const OPEN = 1
// As in protocol/messages/offset-protocol.ts, whose schemas the live tail cannot afford.
const NORMAL = 1000
const MALFORMED = 4400

export function webSocketTransport(given?: WebSocketConstructor): Transport {
  return {
    open(url, handlers) {
      const Socket = given ?? (globalThis as { WebSocket?: WebSocketConstructor }).WebSocket
      if (!Socket) throw new TypeError('this runtime has no WebSocket')
      let socket: WebSocketLike
      try {
        socket = new Socket(url)
      } catch (cause) {
        throw new TypeError(`"${url}" is no WebSocket address`, { cause })
      }
      socket.binaryType = 'arraybuffer'
      return attach(socket, handlers)
    },
  }
}

function attach(socket: WebSocketLike, handlers: Parameters<Transport['open']>[1]): TransportConnection {
  let isOver = false
  const end = (reason: CloseReason) => {
    if (isOver) return
    isOver = true
    socket.onopen = socket.onmessage = socket.onclose = null
    handlers.onClose(reason)
  }
  const close = (code: number, reason: string) => {
    if (isOver) return
    try {
      // Pages may only send 1000 and 3000-4999; the others are for the protocol's own machinery.
      socket.close(code === NORMAL || code >= 3000 ? code : NORMAL, asciiOf(reason))
    } catch {
      // A socket that cannot be closed any more is closed.
    }
    end({ code, reason, by: 'us' })
  }
  socket.onopen = () => handlers.onOpen()
  // Stays attached for good: the `ws` package emits one more error when a connecting socket is closed.
  // Browsers' events say nothing more; that package's say what went wrong.
  let failure = ''
  socket.onerror = (event: { message?: string }) => {
    failure = event?.message ?? ''
  }
  socket.onclose = (event: { code: number; reason: string }) =>
    end({ code: event.code, reason: event.reason || failure, by: 'relay' })
  socket.onmessage = (event: { data: unknown }) => {
    if (event.data instanceof ArrayBuffer) handlers.onMessage(new Uint8Array(event.data))
    else close(MALFORMED, 'not a binary message')
  }
  return {
    get bufferedBytes() {
      return socket.bufferedAmount
    },
    send(message) {
      if (!isOver && socket.readyState === OPEN) socket.send(message as Uint8Array<ArrayBuffer>)
    },
    close,
  }
}

/** A close reason has at most 123 bytes; a longer one would throw instead of closing. */
function asciiOf(reason: string): string {
  return reason.replace(/[^ -~]/g, '?').slice(0, 120)
}
