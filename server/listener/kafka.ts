/**
 * The Kafka door: Kafka's own framing over TCP, for every existing Kafka client. Behind the framing it is the same
 * connection, dispatch and handlers as the WebSocket door.
 */
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { FRAME_SIZE_BYTES, FrameCutter, FrameSizeError } from '../../protocol/frame.ts'
import { Connection } from '../connection.ts'
import type { Frame } from '../fan-out/frame.ts'
import type { Services } from '../services.ts'

export class KafkaListener {
  readonly #services: Services
  readonly #server: Server
  readonly #connections = new Set<KafkaConnection>()
  readonly #perAddress = new Map<string, number>()

  constructor(services: Services) {
    this.#services = services
    this.#server = createServer({ noDelay: true, keepAlive: true }, (socket) => this.#accept(socket))
  }

  /** Rejects with the system's error when the address cannot be had. */
  listen(host: string, port: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject)
      this.#server.listen(port, host, () => {
        this.#server.off('error', reject)
        this.#server.on('error', (error) =>
          this.#services.logger.error('kafka listener failed', { error: error.message }),
        )
        resolve()
      })
    })
  }

  get address(): { host: string; port: number } {
    const { address, port } = this.#server.address() as AddressInfo
    const isAny = address === '0.0.0.0' || address === '::'
    return { host: isAny ? '127.0.0.1' : address, port }
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()))
    for (const connection of [...this.#connections]) connection.close(0, 'the relay is stopping')
    await closed
  }

  forget(connection: KafkaConnection): void {
    if (!this.#connections.delete(connection)) return
    const left = (this.#perAddress.get(connection.remoteAddress) ?? 1) - 1
    if (left > 0) this.#perAddress.set(connection.remoteAddress, left)
    else this.#perAddress.delete(connection.remoteAddress)
  }

  #accept(socket: Socket): void {
    const address = socket.remoteAddress ?? 'unknown'
    const { maxConnections, maxConnectionsPerIp } = this.#services.config
    const fromAddress = this.#perAddress.get(address) ?? 0
    if (this.#connections.size >= maxConnections || fromAddress >= maxConnectionsPerIp) {
      socket.on('error', () => {})
      socket.destroy()
      return
    }
    this.#perAddress.set(address, fromAddress + 1)
    this.#connections.add(new KafkaConnection(this.#services, socket, address, this))
  }
}

class KafkaConnection extends Connection {
  readonly #socket: Socket
  readonly #listener: KafkaListener
  readonly #cutter: FrameCutter

  constructor(services: Services, socket: Socket, remoteAddress: string, listener: KafkaListener) {
    super(services, remoteAddress, services.clock.monotonic())
    this.#socket = socket
    this.#listener = listener
    this.#cutter = new FrameCutter(services.config.maxRequestBytes)
    socket.on('error', () => socket.destroy())
    socket.on('data', (chunk: Buffer) => this.#onData(chunk))
    socket.on('drain', () => this.onDrained())
    socket.on('close', () => this.#end())
  }

  get advertised(): { host: string; port: number } {
    return this.#listener.address
  }

  get unsentBytes(): number {
    return this.#socket.writableLength
  }

  sendFrame(frame: Frame): void {
    if (this.isClosed) return
    const size = Buffer.allocUnsafe(FRAME_SIZE_BYTES)
    size.writeInt32BE(frame.bytes.length - frame.payloadAt)
    this.#socket.cork()
    this.#socket.write(size)
    this.#socket.write(frame.bytes.subarray(frame.payloadAt))
    this.#socket.uncork()
  }

  sendMessage(bytes: Uint8Array, headroom: number): void {
    if (this.isClosed) return
    const from = headroom - FRAME_SIZE_BYTES
    new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).setInt32(from, bytes.length - headroom)
    this.#socket.write(bytes.subarray(from))
  }

  /** TCP has no close codes; the reason is in the relay's log. Answers already given still go out. */
  close(_code: number, reason: string): void {
    if (this.isClosed) return
    this.services.logger.debug('kafka connection closed', { remote: this.remoteAddress, reason })
    this.#end()
    this.#socket.destroySoon()
  }

  protected pauseReading(): void {
    this.#socket.pause()
  }

  protected resumeReading(): void {
    this.#socket.resume()
  }

  #onData(chunk: Buffer): void {
    if (this.isClosed) return
    try {
      for (const frame of this.#cutter.push(chunk)) {
        this.receive(frame)
        if (this.isClosed) return
      }
    } catch (error) {
      this.fail(error instanceof FrameSizeError ? nameOtherProtocol(error) : error)
    }
  }

  #end(): void {
    this.onClosed()
    this.#listener.forget(this)
  }
}

/** A browser or a TLS client that knocks here is told apart from a broken Kafka client. */
function nameOtherProtocol(error: FrameSizeError): Error {
  const start = Buffer.from(error.start)
  if (/^(GET |POST|PUT |HEAD|OPTI|DELE|PATC|CONN)$/.test(start.toString('latin1'))) {
    error.message = 'this is the Kafka port, and the peer speaks HTTP: pages and WebSockets are served at the HTTP port'
  } else if (start[0] === 0x16 && start[1] === 0x03) {
    error.message = 'the peer speaks TLS, this port does not: set security.protocol=PLAINTEXT'
  }
  return error
}
