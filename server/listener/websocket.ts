/**
 * The WebSocket door: one Kafka request or response per binary message, pushes in between (docs/PROTOCOL.md).
 *
 * The library reads frames and keeps the connection's rules. What we send is framed here and written to the socket as
 * it lies, because a delivery goes to many sockets and must not be copied or queued for each. Compression is off:
 * batches are compressed already, and inflating is how a small frame becomes a large one.
 */
import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { type WebSocket, WebSocketServer } from 'ws'
import type { Timer } from '../../protocol/lib/clock.ts'
import { CloseCode, encodePush, heartbeat } from '../../protocol/messages/offset-protocol.ts'
import { Connection } from '../connection.ts'
import type { Frame } from '../fan-out/frame.ts'
import { UNSENT_BYTES_MAX } from '../fan-out/subscription.ts'
import type { Services } from '../services.ts'
import type { Address } from './peer-socket.ts'
import { totalBytes, writePieces } from './pieces.ts'
import { CLOSE_TIMEOUT_MS, NEVER_MS, RelaySocket } from './relay-socket.ts'
import { UnsentWatch } from './unsent-watch.ts'
import { webSocketHeaderBytes, writeWebSocketHeader } from './websocket-frame.ts'

const SWEEP_MS = 1_000
/** How many heartbeats of silence make a dead peer. */
const DEAD_AFTER_HEARTBEATS = 2.5
/** A connection that takes nothing for this long is closed; its replica comes back and reads on from the log. */
const STALLED_MS_MAX = 30_000
const FRAGMENTS_MAX = 64
const CLOSE_REASON_BYTES_MAX = 120

type Socket = RelaySocket<WebSocketConnection>

export class WebSocketDoor {
  readonly #services: Services
  readonly #server: WebSocketServer
  readonly #connections = new Set<WebSocketConnection>()
  #sweepTimer: Timer | undefined
  #now: number

  constructor(services: Services) {
    this.#services = services
    this.#now = services.clock.monotonic()
    this.#server = new WebSocketServer({
      noServer: true,
      WebSocket: RelaySocket,
      clientTracking: false,
      perMessageDeflate: false,
      skipUTF8Validation: true,
      maxPayload: services.config.maxRequestBytes,
      maxFragments: FRAGMENTS_MAX,
      closeTimeout: NEVER_MS,
    } as ConstructorParameters<typeof WebSocketServer>[0])
    this.#scheduleSweep()
  }

  accept(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    this.#server.handleUpgrade(request, socket, head, (webSocket) => {
      const address = request.socket.remoteAddress ?? 'unknown'
      const connection = new WebSocketConnection(this.#services, webSocket as Socket, socket, address, this)
      this.#services.limits.enter(address)
      this.#connections.add(connection)
    })
  }

  forget(connection: WebSocketConnection): void {
    if (this.#connections.delete(connection)) this.#services.limits.leave(connection.remoteAddress)
  }

  /** Coarse, so that reading it costs nothing; right to within one sweep. */
  get now(): number {
    return this.#now
  }

  closeAll(): void {
    this.#sweepTimer?.cancel()
    for (const connection of [...this.#connections]) connection.close(CloseCode.serviceRestart, 'the relay is stopping')
    this.#server.close()
  }

  #scheduleSweep(): void {
    const everyMs = Math.min(SWEEP_MS, this.#services.config.heartbeatMs / 4)
    this.#sweepTimer = this.#services.clock.setTimer(everyMs, () => {
      this.#sweep()
      this.#scheduleSweep()
    })
  }

  /** One pass over all connections instead of timers on each. */
  #sweep(): void {
    const { clock, config } = this.#services
    this.#now = clock.monotonic()
    const beat = encodePush(heartbeat, { serverTimeMs: clock.now() }, { headroom: 2 })
    writeWebSocketHeader(beat, beat.length - 2)
    for (const connection of this.#connections) connection.onSweep(this.#now, config.heartbeatMs, beat)
  }
}

class WebSocketConnection extends Connection {
  readonly #webSocket: Socket
  readonly #socket: Duplex
  readonly #door: WebSocketDoor
  readonly #unsent: UnsentWatch
  #closing: Timer | undefined

  constructor(services: Services, webSocket: Socket, socket: Duplex, remoteAddress: string, door: WebSocketDoor) {
    super(services, remoteAddress, door.now)
    this.#webSocket = webSocket
    this.#socket = socket
    this.#door = door
    this.#unsent = new UnsentWatch(socket)
    webSocket.connection = this
    webSocket.on('error', onError)
    webSocket.on('message', onMessage)
    webSocket.on('pong', onPong)
    webSocket.on('ping', onPong)
    webSocket.on('close', onClose)
    socket.on('drain', () => this.onDrained())
    this.limitRequests(this.requestBytesMax)
  }

  get advertised(): Address {
    return this.services.advertised.http()
  }

  get unsentBytes(): number {
    return this.#socket.writableLength
  }

  sendFrame(frame: Frame): void {
    this.#writeFrame(frame.bytes)
  }

  sendMessage(first: Uint8Array, headroom: number, rest: readonly Uint8Array[] = [], onSent?: () => void): void {
    const messageBytes = totalBytes(first, rest) - headroom
    const from = headroom - webSocketHeaderBytes(messageBytes)
    writeWebSocketHeader(first, messageBytes, from)
    if (this.isClosed) return
    this.lastSentAt = this.#door.now
    writePieces(this.#socket, first.subarray(from), rest, onSent)
  }

  close(code: number, reason: string): void {
    if (this.isClosed) return
    this.#webSocket.close(code, Buffer.from(reason).subarray(0, CLOSE_REASON_BYTES_MAX).toString())
    this.end()
  }

  receiveMessage(message: Buffer, isBinary: boolean): void {
    this.lastReceivedAt = this.#door.now
    if (!isBinary) return this.close(CloseCode.malformed, 'requests are binary messages')
    this.receive(message)
  }

  onLife(): void {
    this.lastReceivedAt = this.#door.now
  }

  /** What does not answer the end of a conversation in time is ended without. */
  onClosing(): void {
    this.#closing ??= this.services.clock.setTimer(CLOSE_TIMEOUT_MS, () => this.#webSocket.terminate())
  }

  onGone(): void {
    this.#closing?.cancel()
    this.end()
  }

  end(): void {
    this.onClosed()
    this.#door.forget(this)
  }

  onSweep(now: number, pingMs: number, beat: Uint8Array): void {
    this.endIfNotSignedIn(now)
    if (this.isClosed) return
    const heartbeatMs = this.heartbeatMs || pingMs
    // The answer to a ping waits behind a message that takes long; that it moves is a sign of life.
    if (this.#unsent.isMoving()) {
      this.lastReceivedAt = now
      this.congestedSince = 0
    }
    const silentMs = now - this.lastReceivedAt
    if (silentMs > heartbeatMs * DEAD_AFTER_HEARTBEATS)
      return this.#giveUp(CloseCode.heartbeatTimeout, 'nothing heard for too long')
    if (this.unsentBytes > UNSENT_BYTES_MAX) {
      if (this.congestedSince === 0) this.congestedSince = now
      if (now - this.congestedSince > STALLED_MS_MAX)
        this.#giveUp(CloseCode.tryAgainLater, 'reads too slowly; come back and read on')
      return
    }
    this.congestedSince = 0
    if (this.heartbeatMs > 0 && now - this.lastSentAt >= heartbeatMs) this.#writeFrame(beat)
    // The browser itself answers a ping, so this works while the page's own timers sleep.
    if (silentMs >= heartbeatMs) this.#webSocket.ping()
  }

  /** The library takes the limit once, for all its sockets; a stranger's is smaller. */
  protected limitRequests(sizeBytesMax: number): void {
    const { _receiver: receiver } = this.#webSocket as unknown as { _receiver: { _maxPayload: number } }
    receiver._maxPayload = sizeBytesMax
  }

  protected pauseReading(): void {
    this.#webSocket.pause()
  }

  protected resumeReading(): void {
    this.#webSocket.resume()
  }

  /** Says why, but does not wait for an answer that will hardly come. */
  #giveUp(code: number, reason: string): void {
    this.close(code, reason)
    this.#webSocket.terminate()
  }

  /** At once: it is alone in this turn, and one of many. */
  #writeFrame(bytes: Uint8Array): void {
    if (this.isClosed) return
    this.lastSentAt = this.#door.now
    this.#socket.write(bytes)
  }
}

function onMessage(this: WebSocket, data: unknown, isBinary: boolean): void {
  ;(this as Socket).connection?.receiveMessage(data as Buffer, isBinary)
}

function onPong(this: WebSocket): void {
  ;(this as Socket).connection?.onLife()
}

function onClose(this: WebSocket): void {
  ;(this as Socket).connection?.onGone()
}

/** A broken frame or a reset: the library closes the socket, and `close` follows. */
function onError(this: WebSocket, error: Error): void {
  const { connection } = this as Socket
  connection?.services.logger.debug('connection error', { remote: connection.remoteAddress, reason: error.message })
}
