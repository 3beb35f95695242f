/**
 * The Kafka door: Kafka's own framing over a stream of bytes, for every existing Kafka client. Behind the framing it is
 * the same connection, dispatch and handlers as the WebSocket door. It knows sockets, not ports: see kafka.ts.
 */
import { FRAME_SIZE_BYTES, FrameCutter, FrameSizeError } from '../../protocol/frame.ts'
import { Connection } from '../connection.ts'
import type { Frame } from '../fan-out/frame.ts'
import type { Services } from '../services.ts'
import type { Address, PeerSocket } from './peer-socket.ts'

export class KafkaDoor {
  readonly #services: Services
  readonly #advertised: () => Address
  readonly #connections = new Set<KafkaConnection>()
  readonly #perAddress = new Map<string, number>()

  /** `advertised` is where Metadata sends clients that came through this door. */
  constructor(services: Services, advertised: () => Address) {
    this.#services = services
    this.#advertised = advertised
  }

  get advertised(): Address {
    return this.#advertised()
  }

  /** Takes the socket over; destroys it when there are too many. */
  accept(socket: PeerSocket): void {
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

  forget(connection: KafkaConnection): void {
    if (!this.#connections.delete(connection)) return
    const left = (this.#perAddress.get(connection.remoteAddress) ?? 1) - 1
    if (left > 0) this.#perAddress.set(connection.remoteAddress, left)
    else this.#perAddress.delete(connection.remoteAddress)
  }

  closeAll(): void {
    for (const connection of [...this.#connections]) connection.close(0, 'the relay is stopping')
  }
}

class KafkaConnection extends Connection {
  readonly #socket: PeerSocket
  readonly #door: KafkaDoor
  readonly #cutter: FrameCutter

  constructor(services: Services, socket: PeerSocket, remoteAddress: string, door: KafkaDoor) {
    super(services, remoteAddress, services.clock.monotonic())
    this.#socket = socket
    this.#door = door
    this.#cutter = new FrameCutter(services.config.maxRequestBytes)
    socket.on('error', () => socket.destroy())
    socket.on('data', (chunk: Buffer) => this.#onData(chunk))
    socket.on('drain', () => this.onDrained())
    socket.on('close', () => this.#end())
  }

  get advertised(): Address {
    return this.#door.advertised
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
    this.#door.forget(this)
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
