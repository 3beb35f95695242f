/** A connection through either door, for bytes that no client would send. */
import { connect, type Socket } from 'node:net'
import { FrameCutter } from '../../protocol/frame.ts'
import { RawWebSocket } from '../server/support/raw-web-socket.ts'

export const DOORS = ['kafka', 'websocket'] as const
export type Door = (typeof DOORS)[number]

export interface Wire {
  readonly isGone: boolean
  /** What a closed WebSocket said; TCP has no words for it. */
  readonly close: { code: number; reason: string } | undefined
  onMessage: ((message: Buffer) => void) | undefined
  onEnd: (() => void) | undefined
  /** One request, framed as the door wants it. */
  send(request: Uint8Array): void
  /** Bytes as they are. */
  sendRaw(bytes: Uint8Array): void
  reset(): void
}

export function openWire(door: Door, addresses: { kafka: string; websocket: string }): Promise<Wire> {
  return door === 'kafka' ? RawKafka.open(addresses.kafka) : RawWebSocket.open(addresses.websocket)
}

const ANSWER_BYTES_MAX = 64 * 1024 * 1024

class RawKafka implements Wire {
  readonly close = undefined
  isGone = false
  onMessage: Wire['onMessage']
  onEnd: Wire['onEnd']
  readonly #socket: Socket
  readonly #cutter = new FrameCutter(ANSWER_BYTES_MAX)

  static async open(address: string): Promise<RawKafka> {
    const [host, port] = address.split(':')
    const socket = connect({ host, port: Number(port), noDelay: true })
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve)
      socket.once('error', reject)
    })
    return new RawKafka(socket)
  }

  constructor(socket: Socket) {
    this.#socket = socket
    socket.on('error', () => {})
    socket.on('data', (chunk) => {
      for (const frame of this.#cutter.push(chunk))
        this.onMessage?.(Buffer.from(frame.buffer, frame.byteOffset, frame.length))
    })
    socket.on('close', () => {
      this.isGone = true
      this.onEnd?.()
    })
  }

  send(request: Uint8Array): void {
    const size = Buffer.alloc(4)
    size.writeInt32BE(request.length)
    this.sendRaw(Buffer.concat([size, request]))
  }

  sendRaw(bytes: Uint8Array): void {
    this.#socket.write(bytes)
  }

  reset(): void {
    this.#socket.resetAndDestroy()
  }
}
