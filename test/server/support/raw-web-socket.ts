/** A WebSocket by hand, for what no library would send: any bytes at any stage, and nothing read unless asked for. */
import { connect, type Socket } from 'node:net'
import { eventually } from '../../support/eventually.ts'

const OPCODE_BINARY = 2
const OPCODE_CLOSE = 8

export interface RawFrameOptions {
  opcode?: number
  fin?: boolean
  /** What the length field says, if not the truth. */
  declaredBytes?: number
  masked?: boolean
}

/** Masked with zeros, which leaves the payload as it is. */
export function rawFrame(payload: Uint8Array, options: RawFrameOptions = {}): Buffer {
  const { opcode = OPCODE_BINARY, fin = true, declaredBytes = payload.length, masked = true } = options
  const first = (fin ? 0x80 : 0) | opcode
  const mask = masked ? 0x80 : 0
  let head: Buffer
  if (declaredBytes < 126) head = Buffer.from([first, mask | declaredBytes])
  else if (declaredBytes < 65_536) head = Buffer.from([first, mask | 126, declaredBytes >> 8, declaredBytes & 0xff])
  else {
    head = Buffer.alloc(10)
    head[0] = first
    head[1] = mask | 127
    head.writeBigUInt64BE(BigInt(declaredBytes), 2)
  }
  return Buffer.concat([head, masked ? Buffer.alloc(4) : Buffer.alloc(0), payload])
}

export const upgradeRequest = (headers: Record<string, string> = {}, path = '/'): string => {
  const all = {
    Host: '127.0.0.1',
    Connection: 'Upgrade',
    Upgrade: 'websocket',
    'Sec-WebSocket-Version': '13',
    'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
    ...headers,
  }
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}`)
  return `GET ${path} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`
}

export interface RawClose {
  code: number
  reason: string
}

export class RawWebSocket {
  readonly socket: Socket
  /** Status line of the answer to the upgrade. */
  status: string | undefined
  readonly messages: Buffer[] = []
  close: RawClose | undefined
  /** The other side ended or reset the connection. */
  isGone = false
  onMessage: ((message: Buffer) => void) | undefined
  onEnd: (() => void) | undefined
  #pending: Buffer = Buffer.alloc(0)

  /** Connects, without a word sent. */
  static async dial(url: string): Promise<RawWebSocket> {
    const { hostname, port } = new URL(url)
    const socket = connect({ host: hostname, port: Number(port), noDelay: true, allowHalfOpen: true })
    socket.on('error', () => {})
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve)
      socket.once('error', reject)
    })
    return new RawWebSocket(socket)
  }

  static async open(url: string): Promise<RawWebSocket> {
    const raw = await RawWebSocket.dial(url)
    raw.socket.write(upgradeRequest())
    await new Promise<void>((resolve, reject) => {
      raw.onOpen = resolve
      raw.onEnd = () => reject(new Error('ended during the handshake'))
    })
    raw.onEnd = undefined
    if (!raw.status!.includes('101')) throw new Error(raw.status)
    return raw
  }

  onOpen: (() => void) | undefined

  constructor(socket: Socket) {
    this.socket = socket
    socket.on('data', (chunk) => this.#onData(chunk))
    const gone = () => {
      if (this.isGone) return
      this.isGone = true
      this.onEnd?.()
    }
    socket.on('end', gone)
    socket.on('close', gone)
  }

  send(payload: Uint8Array, options?: RawFrameOptions): void {
    this.socket.write(rawFrame(payload, options))
  }

  /** Bytes as they are, without a frame. */
  sendRaw(bytes: Uint8Array): void {
    this.socket.write(bytes)
  }

  /** Ends with a reset. */
  reset(): void {
    this.socket.resetAndDestroy()
  }

  waitForEnd(withinMs = 10_000): Promise<true> {
    return eventually(() => this.isGone, { withinMs, what: 'the connection ends' }) as Promise<true>
  }

  waitForClose(withinMs = 10_000): Promise<RawClose> {
    return eventually(() => this.close, { withinMs, what: 'a close frame comes' })
  }

  #onData(chunk: Buffer): void {
    this.#pending = this.#pending.length === 0 ? chunk : Buffer.concat([this.#pending, chunk])
    if (this.status === undefined) {
      const end = this.#pending.indexOf('\r\n\r\n')
      if (end < 0) return
      this.status = this.#pending.subarray(0, this.#pending.indexOf('\r\n')).toString()
      this.#pending = this.#pending.subarray(end + 4)
      this.onOpen?.()
      if (!this.status.includes('101')) return
    }
    while (this.#takeFrame()) {}
  }

  #takeFrame(): boolean {
    const pending = this.#pending
    if (pending.length < 2) return false
    const short = pending[1]! & 0x7f
    const at = short < 126 ? 2 : short === 126 ? 4 : 10
    if (pending.length < at) return false
    const size = short < 126 ? short : short === 126 ? pending.readUInt16BE(2) : Number(pending.readBigUInt64BE(2))
    if (pending.length < at + size) return false
    const payload = pending.subarray(at, at + size)
    this.#pending = pending.subarray(at + size)
    const opcode = pending[0]! & 0x0f
    if (opcode === OPCODE_CLOSE) {
      this.close = { code: size >= 2 ? payload.readUInt16BE(0) : 1005, reason: payload.subarray(2).toString() }
      this.socket.end()
    } else if (opcode === OPCODE_BINARY) {
      this.messages.push(payload)
      this.onMessage?.(payload)
    }
    return true
  }
}
