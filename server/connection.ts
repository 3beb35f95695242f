/**
 * One client's connection: requests in, replies out in the order of the requests, pushes in between.
 *
 * Bounds: at most REQUESTS_IN_FLIGHT_MAX requests are being answered, and nothing more is read or begun while more than
 * UNSENT_BYTES_MAX wait for the network; so a client that sends without reading stops itself. What a door had taken in
 * before it could stop (one read of its socket) waits here. A subclass knows how bytes travel (WebSocket, TCP).
 */
import { CloseCode } from '../protocol/messages/offset-protocol.ts'
import { SaslSession } from './auth/sasl-session.ts'
import { hostOf, type Principal } from './authorizer.ts'
import type { Seat } from './channels/channel.ts'
import type { News } from './channels/news.ts'
import { answerBareToken, dispatch } from './dispatch.ts'
import type { Frame } from './fan-out/frame.ts'
import type { PartitionFanOut } from './fan-out/partition-fan-out.ts'
import { type Subscription, UNSENT_BYTES_MAX } from './fan-out/subscription.ts'
import type { Peer } from './peer.ts'
import type { ReplicaConnection } from './replica-connections.ts'
import { RequestReader } from './request-reader.ts'
import type { Services } from './services.ts'

const REQUESTS_IN_FLIGHT_MAX = 64
const STRANGER_REQUEST_BYTES_MAX = 64 * 1024
const SIGN_IN_MS_MAX = 10_000

/** A reply in one or more pieces, with free bytes in front for a frame header; null for a request that gets none. */
export interface Reply {
  first: Uint8Array
  rest?: readonly Uint8Array[]
  headroom: number
}

/** The place of one request in the order of replies. */
export interface ReplySlot {
  reply: Reply | null | undefined
  afterReply: (() => void) | undefined
  onSent: (() => void) | undefined
  /** Waiting to be the first in line. */
  onTurn: (() => void) | undefined
}

export abstract class Connection implements Peer, Seat, ReplicaConnection {
  readonly services: Services
  readonly remoteAddress: string
  /** Set by ApiVersions. */
  softwareName = ''
  readonly sasl: SaslSession
  /** By the sweep's coarse clock. */
  readonly #openedAt: number
  replicaId: string | undefined
  generation = -1
  heartbeatMs = 0
  /** By the sweep's coarse clock. */
  lastReceivedAt: number
  lastSentAt: number
  /** Since when the network has not taken what waits; 0 while it does. */
  congestedSince = 0
  subscriptions: Map<PartitionFanOut, Subscription> | undefined
  isClosed = false
  #slots: ReplySlot[] = []
  #isPaused = false
  /** Came after reading was paused. */
  #backlog: Uint8Array[] = []
  #isWorkingOff = false
  #onceClosed: Set<() => void> | undefined

  constructor(services: Services, remoteAddress: string, now: number) {
    this.services = services
    this.remoteAddress = remoteAddress
    this.lastReceivedAt = now
    this.lastSentAt = now
    this.#openedAt = now
    this.sasl = new SaslSession(services.authentication, () => this.onSignedIn())
  }

  /** Who acts here, as the authorizer is told. */
  principal(clientId: string | null = null): Principal {
    return { name: this.sasl.user, clientId, host: hostOf(this.remoteAddress) }
  }

  /** Its software says that it knows the offset protocol. */
  get isOttla(): boolean {
    return /^ottla/i.test(this.softwareName)
  }

  /** Where clients that came through this door reach the relay again, as Metadata tells them. */
  abstract get advertised(): { host: string; port: number }
  abstract get unsentBytes(): number
  abstract sendFrame(frame: Frame): void
  /** In one or more pieces. `onSent` is called when the network has it all; never if it doesn't come to that. */
  abstract sendMessage(first: Uint8Array, headroom: number, rest?: readonly Uint8Array[], onSent?: () => void): void
  abstract close(code: number, reason: string): void
  /** The size of requests that is taken from now on. */
  protected abstract limitRequests(sizeBytesMax: number): void
  protected abstract pauseReading(): void
  protected abstract resumeReading(): void

  /** One whole request. */
  receive(message: Uint8Array): void {
    if (this.isClosed) return
    if (this.#isPaused) this.#backlog.push(message)
    else this.#begin(message)
  }

  #begin(message: Uint8Array): void {
    const slot: ReplySlot = { reply: undefined, afterReply: undefined, onSent: undefined, onTurn: undefined }
    this.#slots.push(slot)
    try {
      if (this.sasl.takesBareTokens) answerBareToken(this, message, slot)
      else dispatch(this, new RequestReader(message), slot)
    } catch (error) {
      this.fail(error)
      return
    }
    this.#pauseIfFull()
  }

  /** What may be sent before it is known who sends: a stranger gets little memory. */
  protected get requestBytesMax(): number {
    const { maxRequestBytes } = this.services.config
    return this.sasl.isAdmitted ? maxRequestBytes : Math.min(maxRequestBytes, STRANGER_REQUEST_BYTES_MAX)
  }

  protected onSignedIn(): void {
    this.limitRequests(this.requestBytesMax)
  }

  /** Ends what nobody has signed in to in time, or again in time. To be called by each sweep. */
  protected endIfNotSignedIn(now: number): void {
    if (this.sasl.isOver(now)) this.close(CloseCode.needsAuth, 'the session has ended; sign in again')
    else if (!this.sasl.isAdmitted && now - this.#openedAt > SIGN_IN_MS_MAX)
      this.close(CloseCode.needsAuth, `nobody signed in within ${SIGN_IN_MS_MAX} ms`)
  }

  hearChannel(news: News): void {
    this.sendFrame(news.frame)
  }

  /** Gives a slot its reply and sends all replies whose turn has come. */
  settle(slot: ReplySlot, reply: Reply | null): void {
    slot.reply = reply
    if (this.#slots[0] === slot) this.#sendReplies()
  }

  /**
   * Resolves when every earlier request has been answered, and the network has taken the answers: for replies too large
   * to be kept waiting.
   */
  turnOf(slot: ReplySlot): Promise<void> | undefined {
    if (this.isClosed || (this.#slots[0] === slot && this.unsentBytes <= UNSENT_BYTES_MAX)) return undefined
    return new Promise((resolve) => {
      slot.onTurn = resolve
    })
  }

  /** A request has come that has no answer yet. */
  protected get isAnswering(): boolean {
    return this.#slots.length > 0
  }

  /** Calls back when the connection ends, unless the returned function was called before. */
  onceClosed(listener: () => void): () => void {
    this.#onceClosed ??= new Set()
    this.#onceClosed.add(listener)
    return () => this.#onceClosed?.delete(listener)
  }

  /** Ends the connection over what its peer sent, or over a fault of ours; either way nobody else notices. */
  fail(error: unknown): void {
    const isOurs = !(error instanceof Error) || error.name !== 'MalformedError'
    const reason = error instanceof Error ? error.message : String(error)
    if (isOurs)
      this.services.logger.error('request failed', {
        remote: this.remoteAddress,
        error: String(reason),
        stack: error instanceof Error ? error.stack : undefined,
      })
    else this.services.noise.warn('malformed request', { remote: this.remoteAddress, reason })
    this.close(isOurs ? CloseCode.internalError : CloseCode.malformed, isOurs ? 'internal error' : reason)
  }

  /** To be called by the subclass once, however the connection ended. */
  protected onClosed(): void {
    if (this.isClosed) return
    this.isClosed = true
    for (const slot of this.#slots) slot.onTurn?.()
    this.#slots = []
    this.#backlog = []
    for (const listener of this.#onceClosed ?? []) listener()
    this.#onceClosed = undefined
    this.services.hub.onPeerClosed(this)
    this.services.watches.onPeerClosed(this)
    this.services.channels.onPeerClosed(this)
    this.services.replicas.release(this)
  }

  /** To be called by the subclass when everything sent has been taken by the network. */
  protected onDrained(): void {
    this.congestedSince = 0
    this.#giveTurn()
    this.#resumeIfRoom()
    if (this.subscriptions) this.services.hub.onDrain(this)
    this.services.watches.onDrain(this)
    this.services.channels.onDrain(this)
  }

  #sendReplies(): void {
    const slots = this.#slots
    let count = 0
    while (count < slots.length && slots[count]!.reply !== undefined) {
      const { reply, afterReply, onSent } = slots[count++]!
      if (this.isClosed) return
      if (reply) this.sendMessage(reply.first, reply.headroom, reply.rest, onSent)
      afterReply?.()
    }
    slots.splice(0, count)
    this.#giveTurn()
    this.#resumeIfRoom()
  }

  #giveTurn(): void {
    if (this.unsentBytes <= UNSENT_BYTES_MAX) this.#slots[0]?.onTurn?.()
  }

  #pauseIfFull(): void {
    if (this.#isPaused || this.isClosed) return
    if (this.#slots.length < REQUESTS_IN_FLIGHT_MAX && this.unsentBytes <= UNSENT_BYTES_MAX) return
    this.#isPaused = true
    this.pauseReading()
  }

  #resumeIfRoom(): void {
    if (!this.#isPaused || this.#isWorkingOff) return
    this.#isWorkingOff = true
    let at = 0
    while (this.#isPaused && this.#hasRoom) {
      this.#isPaused = false
      while (at < this.#backlog.length && !this.#isPaused && !this.isClosed) this.#begin(this.#backlog[at++]!)
    }
    this.#backlog.splice(0, at)
    this.#isWorkingOff = false
    if (!this.#isPaused && !this.isClosed) this.resumeReading()
  }

  get #hasRoom(): boolean {
    return !this.isClosed && this.#slots.length <= REQUESTS_IN_FLIGHT_MAX / 2 && this.unsentBytes <= UNSENT_BYTES_MAX
  }
}
