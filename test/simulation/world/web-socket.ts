/**
 * The browser's WebSocket over a simulated connection: what a page can see of it, and the frames that it never sees.
 * Pings are answered below the page, large messages may go in fragments, and nothing at all says that a way is blocked.
 */
import type { WebSocketConstructor, WebSocketLike } from '../../../client/transport/websocket.ts'
import { writeWebSocketHeader } from '../../../server/listener/websocket-frame.ts'
import type { ClientSocket, SocketHandlers } from './client-socket.ts'
import type { Dice } from './dice.ts'

type Connect = (handlers: SocketHandlers) => ClientSocket

const CONNECTING = 0
const OPEN = 1
const CLOSING = 2
const CLOSED = 3
const CLOSED_WITHOUT_HANDSHAKE = 1006
const HEADER_END = '\r\n\r\n'
const FRAGMENTED = 0.05
const opcodes = { continuation: 0, binary: 2, close: 8, ping: 9, pong: 10 } as const

/** A WebSocket class for programs of one machine. */
export function webSocketClass(connect: Connect, dice: Dice): WebSocketConstructor {
  return class implements WebSocketLike {
    binaryType = 'blob'
    readyState = CONNECTING
    onopen: WebSocketLike['onopen'] = null
    onmessage: WebSocketLike['onmessage'] = null
    onerror: WebSocketLike['onerror'] = null
    onclose: WebSocketLike['onclose'] = null
    readonly #socket: ClientSocket
    #received: Uint8Array = new Uint8Array(0)
    #isUpgraded = false
    #closeReason = { code: CLOSED_WITHOUT_HANDSHAKE, reason: '' }

    constructor(_url: string) {
      this.#socket = connect({
        onOpen: () => {},
        onBytes: (bytes) => this.#receive(bytes),
        onClose: () => this.#closed(),
      })
    }

    get bufferedAmount(): number {
      return this.#socket.bufferedBytes
    }

    send(message: Uint8Array<ArrayBuffer>): void {
      if (this.readyState !== OPEN) return
      // As the platform does: whoever sends may use the buffer again at once.
      const copy = message.slice()
      if (copy.length < 2 || !dice.chance(FRAGMENTED)) return this.#frame(opcodes.binary, copy)
      const cut = 1 + dice.below(copy.length - 1)
      this.#frame(opcodes.binary, copy.subarray(0, cut), false)
      this.#frame(opcodes.continuation, copy.subarray(cut))
    }

    close(code = 1005, reason = ''): void {
      if (this.readyState >= CLOSING) return
      if (this.readyState === CONNECTING) {
        this.readyState = CLOSED
        return this.#socket.abort()
      }
      this.readyState = CLOSING
      this.#sendClose(code, reason)
    }

    #sendClose(code: number, reason: string): void {
      const body = new TextEncoder().encode(`  ${reason}`)
      new DataView(body.buffer).setUint16(0, code)
      this.#frame(opcodes.close, code === 1005 ? new Uint8Array(0) : body)
    }

    /** Masked with zeros: legal, and easy to read in a trace. */
    #frame(opcode: number, payload: Uint8Array, isLast = true): void {
      const header = new Uint8Array(10)
      writeWebSocketHeader(header, payload.length)
      const lengthBytes = payload.length < 126 ? 0 : payload.length < 65_536 ? 2 : 8
      header[0] = opcode | (isLast ? 0x80 : 0)
      header[1] = header[1]! | 0x80
      const frame = new Uint8Array(2 + lengthBytes + 4 + payload.length)
      frame.set(header.subarray(0, 2 + lengthBytes))
      frame.set(payload, 2 + lengthBytes + 4)
      this.#socket.write(frame)
    }

    #receive(bytes: Uint8Array): void {
      const received = new Uint8Array(this.#received.length + bytes.length)
      received.set(this.#received)
      received.set(bytes, this.#received.length)
      this.#received = received
      if (!this.#isUpgraded && !this.#readUpgrade()) return
      while (this.#readFrame()) {}
    }

    #readUpgrade(): boolean {
      const text = new TextDecoder('latin1').decode(this.#received)
      const end = text.indexOf(HEADER_END)
      if (end < 0) return false
      this.#received = this.#received.subarray(end + HEADER_END.length)
      if (!text.startsWith('HTTP/1.1 101 ')) {
        this.#socket.abort()
        this.#closed()
        return false
      }
      this.#isUpgraded = true
      this.readyState = OPEN
      this.onopen?.({} as never)
      return true
    }

    #readFrame(): boolean {
      const bytes = this.#received
      if (this.readyState === CLOSED || bytes.length < 2) return false
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
      const short = bytes[1]! & 0x7f
      const headerBytes = short < 126 ? 2 : short === 126 ? 4 : 10
      if (bytes.length < headerBytes) return false
      const length = short < 126 ? short : short === 126 ? view.getUint16(2) : view.getUint32(6)
      if (bytes.length < headerBytes + length) return false
      const payload = bytes.slice(headerBytes, headerBytes + length)
      this.#received = bytes.subarray(headerBytes + length)
      this.#take(bytes[0]! & 0x0f, payload)
      return true
    }

    #take(opcode: number, payload: Uint8Array): void {
      if (opcode === opcodes.binary) this.onmessage?.({ data: payload.buffer } as never)
      else if (opcode === opcodes.ping) this.#frame(opcodes.pong, payload)
      else if (opcode === opcodes.close) this.#closedByPeer(payload)
    }

    #closedByPeer(payload: Uint8Array): void {
      const hasCode = payload.length >= 2
      const code = hasCode ? new DataView(payload.buffer).getUint16(0) : 1005
      this.#closeReason = { code, reason: new TextDecoder().decode(payload.subarray(2)) }
      if (this.readyState === OPEN) this.#sendClose(code, '')
      this.#socket.close()
      this.#closed()
    }

    #closed(): void {
      if (this.readyState === CLOSED) return
      this.readyState = CLOSED
      this.onclose?.(this.#closeReason as never)
    }
  }
}
