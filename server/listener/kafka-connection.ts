/**
 * One connection through the Kafka door: frames out of a byte stream, and a look at who it is that speaks.
 *
 * TCP has no close codes, so clients that know the offset protocol are told theirs by a last message, and no pings. A dead machine is noticed by the system's keep-alive; a connection over
 * which nothing goes is closed after `connections.max.idle.ms`, unless it waits for an answer. A client that has said
 * Hello hears from the relay as often as it asked for.
 */
import { FRAME_SIZE_BYTES, FrameCutter, FrameSizeError } from '../../protocol/frame.ts'
import type { Timer } from '../../protocol/lib/clock.ts'
import { CloseCode, closing, encodePush } from '../../protocol/messages/offset-protocol.ts'
import { viewOf } from '../../protocol/record-batch.ts'
import { Connection } from '../connection.ts'
import type { Frame } from '../fan-out/frame.ts'
import type { Services } from '../services.ts'
import { atKafkaPort, type OtherProtocol } from './other-protocol.ts'
import type { Address, PeerSocket } from './peer-socket.ts'
import { totalBytes, writePieces } from './pieces.ts'
import { UnsentWatch } from './unsent-watch.ts'

const CLOSE_TIMEOUT_MS = 2_000

/** What a connection asks of its door. */
interface Door {
  readonly now: number
  forget(connection: KafkaConnection): void
}

export class KafkaConnection extends Connection {
  /** Bytes free in front of a message that `sendMessage` is given. */
  static readonly headroom = FRAME_SIZE_BYTES
  readonly advertised: Address
  readonly #socket: PeerSocket
  readonly #door: Door
  readonly #cutter: FrameCutter
  readonly #unsent: UnsentWatch
  /** The first bytes, at most four, until a whole frame has come. */
  #start: Uint8Array | undefined = new Uint8Array(0)
  #closing: Timer | undefined

  constructor(services: Services, socket: PeerSocket, remoteAddress: string, door: Door) {
    super(services, remoteAddress, door.now)
    this.advertised = advertisedAddress(services, socket)
    this.#socket = socket
    this.#door = door
    this.#cutter = new FrameCutter(this.requestBytesMax, unfilled)
    this.#unsent = new UnsentWatch(socket)
    socket.on('error', () => socket.destroy())
    socket.on('data', (chunk: Buffer) => this.#onData(chunk))
    socket.on('drain', () => this.onDrained())
    socket.on('close', () => {
      this.#closing?.cancel()
      this.#end()
    })
  }

  get unsentBytes(): number {
    return this.#socket.writableLength
  }

  sendFrame(frame: Frame): void {
    if (this.isClosed) return
    const size = Buffer.allocUnsafe(FRAME_SIZE_BYTES)
    size.writeInt32BE(frame.bytes.length - frame.payloadAt)
    this.lastSentAt = this.#door.now
    writePieces(this.#socket, size, [frame.bytes.subarray(frame.payloadAt)])
  }

  sendMessage(first: Uint8Array, headroom: number, rest: readonly Uint8Array[] = [], onSent?: () => void): void {
    if (this.isClosed) return
    const from = headroom - FRAME_SIZE_BYTES
    viewOf(first).setInt32(from, totalBytes(first, rest) - headroom)
    this.lastSentAt = this.#door.now
    writePieces(this.#socket, first.subarray(from), rest, onSent)
  }

  /** Answers already given still go out. A Kafka client learns the reason from the relay's log only. */
  close(code: number, reason: string): void {
    if (this.isClosed) return
    if (this.isOttla)
      this.sendMessage(encodePush(closing, { code, reason }, { headroom: FRAME_SIZE_BYTES }), FRAME_SIZE_BYTES)
    this.services.logger.debug('kafka connection closed', { remote: this.remoteAddress, reason })
    this.#end()
    this.#socket.destroySoon()
    // Nobody counts it any more, and who does not read what was sent would keep it, and a relay from stopping, for ever.
    this.#closing = this.services.clock.setTimer(CLOSE_TIMEOUT_MS, () => this.#socket.destroy())
  }

  onSweep(now: number, beat: () => Uint8Array): void {
    if (this.#unsent.isMoving()) this.lastSentAt = now
    this.endIfNotSignedIn(now)
    const { heartbeatMs } = this
    if (this.isClosed) return
    if (heartbeatMs > 0 && this.unsentBytes === 0 && now - this.lastSentAt >= heartbeatMs)
      this.sendMessage(beat(), KafkaConnection.headroom)
    const idleMs = now - Math.max(this.lastReceivedAt, this.lastSentAt)
    if (idleMs < this.services.config.connectionsMaxIdleMs) return
    if (this.isAnswering && this.unsentBytes === 0) return
    this.close(CloseCode.goingAway, `nothing went over it for ${Math.round(idleMs)} ms`)
    // What it would not take for so long it will not take now.
    this.#socket.destroy()
  }

  protected limitRequests(sizeBytesMax: number): void {
    this.#cutter.sizeBytesMax = sizeBytesMax
  }

  protected pauseReading(): void {
    this.#socket.pause()
  }

  protected resumeReading(): void {
    this.#socket.resume()
  }

  #onData(chunk: Buffer): void {
    if (this.isClosed) return
    this.lastReceivedAt = this.#door.now
    if (this.#start && this.#isTurnedAway(this.#start, chunk)) return
    try {
      for (const frame of this.#cutter.push(chunk)) {
        this.#start = undefined
        this.receive(frame)
        if (this.isClosed) return
      }
    } catch (error) {
      const isFirst = this.#start !== undefined && error instanceof FrameSizeError
      if (isFirst && error.start[0] !== 0) this.#turnAway(unknownProtocol(error))
      else this.fail(error)
    }
  }

  /** The first four bytes tell other protocols from Kafka's. */
  #isTurnedAway(known: Uint8Array, chunk: Buffer): boolean {
    if (known.length === FRAME_SIZE_BYTES) return false
    const start = Buffer.concat([known, chunk.subarray(0, FRAME_SIZE_BYTES - known.length)])
    this.#start = start
    if (start.length < FRAME_SIZE_BYTES) return false
    const { host, port } = this.services.advertised.http()
    const other = atKafkaPort(start, `http://${host}:${port}`)
    if (other) this.#turnAway(other)
    return other !== undefined
  }

  #turnAway({ says, isHttp }: OtherProtocol): void {
    this.services.noise.warn('wrong protocol', { remote: this.remoteAddress, reason: says })
    if (isHttp) this.#socket.write(httpRefusal(says))
    this.close(CloseCode.malformed, says)
  }

  #end(): void {
    this.onClosed()
    this.#door.forget(this)
  }
}

/** A buffer of its own that holds anything. */
const unfilled = (sizeBytes: number) => new Uint8Array(Buffer.allocUnsafeSlow(sizeBytes).buffer)

/** For whoever opened the Kafka port in a browser. */
function httpRefusal(says: string): string {
  const body = `${says}\n`
  const headers = `Connection: close\r\nContent-Type: text/plain\r\nContent-Length: ${Buffer.byteLength(body)}`
  return `HTTP/1.1 400 Bad Request\r\n${headers}\r\n\r\n${body}`
}

function unknownProtocol(error: FrameSizeError): OtherProtocol {
  const bytes = Buffer.from(error.start).toString('hex')
  const says = `bytes that are no Kafka request arrived on the Kafka port; they begin with ${bytes}`
  return { isHttp: false, says }
}

/** What was configured, else the address by which this client came. */
function advertisedAddress({ config, advertised }: Services, { localAddress, localPort }: PeerSocket): Address {
  const own = advertised.kafka() ?? { host: '', port: 0 }
  return {
    host: config.advertisedHost || ipv4InIpv6(localAddress ?? own.host),
    port: config.advertisedPort || (localPort ?? own.port),
  }
}

/** An IPv4 client of a listener for both kinds reached `::ffff:192.0.2.1`, which it would not understand. */
function ipv4InIpv6(address: string): string {
  return address.replace(/^::ffff:(?=\d+\.)/i, '')
}
