/**
 * Kafka's own framing over TCP, for Node: an INT32 size, then the message. The only file of the client that needs Node;
 * node.ts loads it when an address begins with kafka://, so no browser bundle contains it.
 *
 * TCP says nothing when it ends: every end but our own is 1006, with what the system knows of it as the reason.
 */
import { connect, type Socket } from 'node:net'
import { FRAME_SIZE_BYTES, FrameCutter } from '../../protocol/frame.ts'
import { CloseCode } from '../../protocol/messages/offset-protocol.ts'
import { brokerAddresses } from './kafka-url.ts'
import type { CloseReason, Transport, TransportConnection, TransportHandlers } from './transport.ts'

/** More than any broker is asked for; held only as far as it has come. */
const MESSAGE_BYTES_MAX = 512 * 1024 * 1024
const KEEP_ALIVE_MS = 30_000
/** How long what was sent may take to leave after a close. */
const LINGER_MS = 2_000
const ABNORMAL = 1006

/** Of several addresses each attempt takes the next, so a broker that is down is passed over. */
export function tcpTransport(): Transport {
  let attempt = 0
  return {
    mayBeKafka: true,
    open(url, handlers) {
      const addresses = brokerAddresses(url)
      const { host, port } = addresses[attempt++ % addresses.length]!
      const socket = connect({ host, port, noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_MS })
      return new TcpConnection(socket, handlers)
    },
  }
}

class TcpConnection implements TransportConnection {
  readonly #socket: Socket
  readonly #handlers: TransportHandlers
  readonly #cutter = new FrameCutter(MESSAGE_BYTES_MAX)
  #isOver = false
  /** What the system said went wrong. */
  #failure = ''

  constructor(socket: Socket, handlers: TransportHandlers) {
    this.#socket = socket
    this.#handlers = handlers
    socket.on('connect', () => this.#opened())
    socket.on('data', (chunk: Uint8Array) => this.#received(chunk))
    socket.on('error', (error) => {
      this.#failure = messageOf(error)
    })
    socket.on('close', () => this.#end({ code: ABNORMAL, reason: this.#failure, by: 'relay' }))
  }

  get bufferedBytes(): number {
    return this.#socket.writableLength
  }

  send(message: Uint8Array): void {
    if (this.#isOver || this.#socket.connecting || !this.#socket.writable) return
    const size = new Uint8Array(FRAME_SIZE_BYTES)
    new DataView(size.buffer).setInt32(0, message.length)
    this.#socket.cork()
    this.#socket.write(size)
    this.#socket.write(message)
    this.#socket.uncork()
  }

  close(code: number, reason: string): void {
    if (this.#isOver) return
    if (code === CloseCode.normal) {
      // What was sent still leaves, unless the other side takes nothing.
      this.#socket.setTimeout(LINGER_MS, () => this.#socket.destroy())
      this.#socket.destroySoon()
    } else {
      this.#socket.destroy()
    }
    this.#end({ code, reason, by: 'us' })
  }

  #opened(): void {
    if (!this.#isOver) this.#handlers.onOpen()
  }

  #received(chunk: Uint8Array): void {
    try {
      for (const message of this.#cutter.push(chunk)) {
        if (this.#isOver) return
        this.#handlers.onMessage(message)
      }
    } catch (error) {
      this.close(CloseCode.malformed, messageOf(error))
    }
  }

  #end(reason: CloseReason): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#handlers.onClose(reason)
  }
}

/** A host with several addresses fails with all their errors together, and no text of its own. */
function messageOf(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(messageOf).join(', ')
  return error instanceof Error ? error.message : String(error)
}
