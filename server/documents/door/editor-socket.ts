/**
 * One editor's connection in y-websocket's protocol. It is not read from until its room is open: what it sends before waits in
 * the network, its end included. One that does not read is closed, and catches up when it comes back.
 */
import type { Timer } from '../../../protocol/lib/clock.ts'
import { CloseCode } from '../../../protocol/messages/offset-protocol.ts'
import { PublishRate } from '../../channels/publish-rate.ts'
import { CLOSE_TIMEOUT_MS, type RelaySocket } from '../../listener/relay-socket.ts'
import type { Services } from '../../services.ts'
import type { Room } from './room.ts'

const UNSENT_BYTES_MAX = 16 * 1024 * 1024
const REASON_BYTES_MAX = 120

export class EditorSocket {
  /** Those of the document's editors that it speaks for, by their numbers. */
  readonly clients = new Set<number>()
  readonly mayWrite: () => boolean
  readonly #webSocket: RelaySocket<EditorSocket>
  readonly #services: Services
  readonly #remote: string
  readonly #rate: PublishRate
  #room: Room | undefined
  /** Of what was sent to it: a whole document may be larger than what may wait else. */
  #largestBytes = 0
  #closing: Timer | undefined
  isHeard = true
  isClosed = false

  constructor(webSocket: RelaySocket<EditorSocket>, services: Services, remote: string, mayWrite: () => boolean) {
    this.#webSocket = webSocket
    webSocket.connection = this
    webSocket.pause()
    this.#services = services
    this.#remote = remote
    this.mayWrite = mayWrite
    this.#rate = new PublishRate(services.clock)
    webSocket.on('error', () => {})
    webSocket.on('pong', () => {
      this.isHeard = true
    })
    webSocket.on('message', (data, isBinary) => this.#heard(data as Buffer, isBinary))
  }

  enter(room: Room): void {
    if (this.isClosed) return
    this.#room = room
    room.enter(this)
    this.resume()
  }

  send(bytes: Uint8Array): void {
    if (this.isClosed) return
    if (this.#webSocket.bufferedAmount > UNSENT_BYTES_MAX + this.#largestBytes) {
      this.close(CloseCode.tryAgainLater, 'reads too slowly')
      this.#webSocket.terminate()
      return
    }
    this.#largestBytes = Math.max(this.#largestBytes, bytes.length)
    this.#webSocket.send(bytes)
  }

  /** Whether it may tell of itself now, as of channels. */
  maySay(sizeBytes: number): boolean {
    return this.#rate.take(sizeBytes) === 0
  }

  pause(): void {
    this.#webSocket.pause()
  }

  resume(): void {
    this.#webSocket.resume()
  }

  /** Asks for a sign of life; false when there was none since it was last asked. */
  probe(): boolean {
    if (!this.#room && !this.isClosed) return true
    const isAlive = this.isHeard
    this.isHeard = false
    if (isAlive) this.#webSocket.ping()
    return isAlive
  }

  close(code: number, reason: string): void {
    if (this.isClosed) return
    this.ended()
    this.#webSocket.close(code, Buffer.from(reason).subarray(0, REASON_BYTES_MAX).toString())
    // The other side's answer is to be read.
    this.resume()
  }

  /** What does not answer the end of a conversation in time is ended without. */
  onClosing(): void {
    this.#closing ??= this.#services.clock.setTimer(CLOSE_TIMEOUT_MS, () => this.#webSocket.terminate())
  }

  gone(): void {
    this.#closing?.cancel()
    this.ended()
  }

  terminate(): void {
    this.ended()
    this.#webSocket.terminate()
  }

  /** However it ended. Idempotent. */
  ended(): void {
    if (this.isClosed) return
    this.isClosed = true
    this.#room?.leave(this)
  }

  #heard(data: Buffer, isBinary: boolean): void {
    this.isHeard = true
    if (this.isClosed) return
    if (!isBinary) return this.close(CloseCode.malformed, 'messages are binary')
    try {
      this.#room?.receive(this, new Uint8Array(data.buffer, data.byteOffset, data.length))
    } catch (error) {
      this.#services.noise.warn('malformed message of an editor', { remote: this.#remote, reason: String(error) })
      this.close(CloseCode.malformed, 'this is no message of y-websocket, or no update')
    }
  }
}
