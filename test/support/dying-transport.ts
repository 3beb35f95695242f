/**
 * A WebSocket whose client dies at a chosen request: before it is sent, or when its answer has come and nobody hears it.
 * From then on nothing goes out or comes in any more.
 */
import { WebSocket } from 'ws'
import type { Transport, TransportConnection } from '../../client/transport/transport.ts'
import { type WebSocketConstructor, webSocketTransport } from '../../client/transport/websocket.ts'

export interface DeathAt {
  /** API keys that count. */
  keys: ReadonlySet<number>
  /** The how-many-eth of them, from 1. */
  count: number
  when: 'before' | 'answered'
}

export interface DyingTransport extends Transport {
  /** With the API key; resolves when it has died. */
  readonly died: Promise<number>
}

const GONE = { code: 1006, reason: 'dead', by: 'us' } as const

export function dyingTransport({ keys, count, when }: DeathAt): DyingTransport {
  const inner = webSocketTransport(WebSocket as unknown as WebSocketConstructor)
  let seen = 0
  let isDead = false
  let resolve!: (key: number) => void
  const died = new Promise<number>((settle) => {
    resolve = settle
  })
  return {
    died,
    open(url, handlers) {
      if (isDead) {
        queueMicrotask(() => handlers.onClose(GONE))
        return { bufferedBytes: 0, send() {}, close() {} }
      }
      let awaited: { key: number; correlationId: number } | undefined
      let isOver = false
      const die = (key: number) => {
        isDead = true
        isOver = true
        connection.close(1000, 'dead')
        handlers.onClose(GONE)
        resolve(key)
      }
      const connection: TransportConnection = inner.open(url, {
        onOpen: () => handlers.onOpen(),
        onMessage(message) {
          if (isOver) return
          const correlationId = new DataView(message.buffer, message.byteOffset).getInt32(0)
          if (awaited?.correlationId === correlationId) die(awaited.key)
          else handlers.onMessage(message)
        },
        onClose(reason) {
          if (!isOver) handlers.onClose(reason)
        },
      })
      return {
        get bufferedBytes() {
          return connection.bufferedBytes
        },
        send(message) {
          if (isOver) return
          const view = new DataView(message.buffer, message.byteOffset)
          const key = view.getInt16(0)
          const isIt = keys.has(key) && ++seen === count
          if (isIt && when === 'before') return die(key)
          if (isIt) awaited = { key, correlationId: view.getInt32(4) }
          connection.send(message)
        },
        close(code, reason) {
          if (!isOver) connection.close(code, reason)
        },
      }
    },
  }
}

/** A WebSocket that tells the API key of each request as soon as it has been sent. */
export function tappedTransport(sent: (key: number) => void): Transport {
  const inner = webSocketTransport(WebSocket as unknown as WebSocketConstructor)
  return {
    open(url, handlers) {
      const connection = inner.open(url, handlers)
      return {
        get bufferedBytes() {
          return connection.bufferedBytes
        },
        send(message) {
          connection.send(message)
          sent(new DataView(message.buffer, message.byteOffset).getInt16(0))
        },
        close: (code, reason) => connection.close(code, reason),
      }
    },
  }
}
