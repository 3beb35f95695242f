/**
 * One connection: requests out, responses and pushes in. It connects once, ends once, and never comes back; reconnecting
 * is the session's business.
 *
 * Invariants: every request settles, by its response, its timeout, its signal or the connection's end; at most
 * REQUESTS_MAX wait; while the network takes nothing, requests wait here unencoded and in order. Whatever bytes the relay
 * sends, nothing is thrown out of here: bytes that make no sense close the connection with 4400.
 */
import type { Api } from '../protocol/api.ts'
import { decodeResponse, encodeRequest } from '../protocol/api.ts'
import { Reader } from '../protocol/bytes/reader.ts'
import type { Clock, Timer } from '../protocol/lib/clock.ts'
import { CloseCode, PUSH_CORRELATION_ID, readPushStart } from '../protocol/messages/offset-protocol.ts'
import { abortError } from './abort-error.ts'
import { asOttlaError, OttlaError } from './errors.ts'
import { relayError } from './relay-errors.ts'
import type { CloseReason, Transport, TransportConnection } from './transport/transport.ts'

/** Requests without an answer on one connection; beyond it a call is refused. */
export const REQUESTS_MAX = 1024
/** Bytes handed to the socket that have not left; beyond it requests wait. */
export const UNSENT_BYTES_MAX = 4 * 1024 * 1024
const ROOM_POLL_MS = 20
const CORRELATION_SPAN = 0x7fff_ffff

export interface ConnectionOptions {
  url: string
  transport: Transport
  clientId: string | null
  clock: Clock
}

export interface ConnectionHandlers {
  onOpen(): void
  /** Any message at all: the relay lives. */
  onSignOfLife(): void
  /** Decodes a push and gives what is to be done about it. What decoding throws closes the connection with 4400. */
  readPush(key: number, version: number, body: Reader): (() => void) | undefined
  onEnd(reason: CloseReason): void
}

export interface RequestOptions<Res> {
  /** Counts from the call, waiting for room included. */
  timeoutMs: number
  signal?: AbortSignal
  /**
   * Called before the next message is looked at, while a promise's callbacks may run after it: several messages can
   * arrive in one turn. For answers that decide how pushes behind them are read.
   */
  onAnswer?(answer: Res): void
}

interface PendingRequest {
  name: string
  encode(): Uint8Array
  settle(answer: { reader: Reader } | { error: OttlaError }): void
}

export class Connection {
  readonly #clock: Clock
  readonly #clientId: string | null
  readonly #handlers: ConnectionHandlers
  readonly #pending = new Map<number, PendingRequest>()
  /** Ids whose caller no longer waits; their responses are dropped when they come. */
  readonly #abandoned = new Set<number>()
  readonly #waitingForRoom: number[] = []
  #roomTimer: Timer | undefined
  #lastId = 0
  #isOver = false
  /** What the relay takes at most; it would end the connection for good over a larger message. */
  requestBytesMax = Number.POSITIVE_INFINITY
  #socket: TransportConnection | undefined

  constructor(options: ConnectionOptions, handlers: ConnectionHandlers) {
    this.#clock = options.clock
    this.#clientId = options.clientId
    this.#handlers = handlers
    this.#socket = options.transport.open(options.url, {
      onOpen: () => handlers.onOpen(),
      onMessage: (message) => this.#receive(message),
      onClose: (reason) => this.#end(reason),
    })
  }

  request<Res, ReqIn>(
    api: Api<unknown, Res, ReqIn, never>,
    version: number,
    body: ReqIn,
    options: RequestOptions<Res>,
  ): Promise<Res> {
    const { timeoutMs, signal, onAnswer } = options
    if (signal?.aborted) return Promise.reject(abortError(api.name, signal))
    if (this.#isOver) return Promise.reject(disconnected(api.name))
    if (this.#pending.size + this.#abandoned.size >= REQUESTS_MAX) return Promise.reject(tooMany(api.name))
    const correlationId = this.#nextId()
    return new Promise<Res>((resolve, reject) => {
      const giveUp = (error: OttlaError) => {
        this.#abandon(correlationId)
        finish()
        reject(error)
      }
      const onAbort = () => giveUp(abortError(api.name, signal!))
      const timer = this.#clock.setTimer(timeoutMs, () => giveUp(timedOut(api.name, timeoutMs)))
      const finish = () => {
        timer.cancel()
        signal?.removeEventListener('abort', onAbort)
      }
      signal?.addEventListener('abort', onAbort, { once: true })
      this.#pending.set(correlationId, {
        name: api.name,
        encode: () => encodeRequest(api, version, { correlationId, clientId: this.#clientId }, body),
        settle: (answer) => {
          finish()
          if ('error' in answer) return reject(answer.error)
          let response: Res
          try {
            response = decodeResponse(api, version, answer.reader)
          } catch (cause) {
            reject(new OttlaError('PROTOCOL', { message: `the answer to ${api.name} makes no sense`, cause }))
            return this.#refuse(cause)
          }
          resolve(response)
          onAnswer?.(response)
        },
      })
      this.#sendOrWait(correlationId)
    })
  }

  /** For requests that have no response. Does nothing once the connection is over. */
  send<ReqIn>(api: Api<unknown, unknown, ReqIn, never>, version: number, body: ReqIn): void {
    const header = { correlationId: this.#nextId(), clientId: this.#clientId }
    this.#socket?.send(encodeRequest(api, version, header, body))
  }

  /** Idempotent; everything that waits is rejected before it returns. */
  close(code: number, reason: string): void {
    this.#socket?.close(code, reason)
  }

  #nextId(): number {
    do {
      this.#lastId = (this.#lastId + 1) % CORRELATION_SPAN
    } while (this.#pending.has(this.#lastId) || this.#abandoned.has(this.#lastId))
    return this.#lastId
  }

  #abandon(correlationId: number): void {
    if (!this.#pending.delete(correlationId)) return
    const queuedAt = this.#waitingForRoom.indexOf(correlationId)
    if (queuedAt >= 0) this.#waitingForRoom.splice(queuedAt, 1)
    else this.#abandoned.add(correlationId)
  }

  #sendOrWait(correlationId: number): void {
    this.#waitingForRoom.push(correlationId)
    if (!this.#roomTimer) this.#sendWhatFits()
  }

  /** Browsers do not tell when a socket has drained, so it is looked at again after a while. */
  #sendWhatFits(): void {
    this.#roomTimer = undefined
    const socket = this.#socket
    while (socket && this.#waitingForRoom.length > 0) {
      if (socket.bufferedBytes > UNSENT_BYTES_MAX) {
        this.#roomTimer = this.#clock.setTimer(ROOM_POLL_MS, () => this.#sendWhatFits())
        return
      }
      this.#sendOne(socket, this.#waitingForRoom.shift()!)
    }
  }

  #sendOne(socket: TransportConnection, correlationId: number): void {
    const request = this.#pending.get(correlationId)
    if (!request) return
    try {
      const message = request.encode()
      if (message.length > this.requestBytesMax) throw tooLarge(request.name, message.length, this.requestBytesMax)
      socket.send(message)
    } catch (thrown) {
      this.#pending.delete(correlationId)
      request.settle({ error: asOttlaError(thrown, 'INVALID_ARGUMENT') })
    }
  }

  #receive(message: Uint8Array): void {
    if (this.#isOver) return
    this.#handlers.onSignOfLife()
    let act: (() => void) | undefined
    try {
      act = this.#read(new Reader(message))
    } catch (cause) {
      return this.#refuse(cause)
    }
    act?.()
  }

  #read(reader: Reader): (() => void) | undefined {
    const correlationId = reader.int32()
    if (correlationId === PUSH_CORRELATION_ID) {
      const { key, version } = readPushStart(reader)
      return this.#handlers.readPush(key, version, reader)
    }
    if (this.#abandoned.delete(correlationId)) return undefined
    const request = this.#pending.get(correlationId)
    if (!request) throw new RangeError(`an answer to request ${correlationId}, which nobody made`)
    this.#pending.delete(correlationId)
    return () => request.settle({ reader })
  }

  #refuse(cause: unknown): void {
    const what = cause instanceof Error ? cause.message : String(cause)
    this.close(CloseCode.malformed, `malformed message: ${what}`)
  }

  #end(reason: CloseReason): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#socket = undefined
    this.#roomTimer?.cancel()
    const requests = [...this.#pending.values()]
    this.#pending.clear()
    this.#abandoned.clear()
    this.#waitingForRoom.length = 0
    for (const request of requests) request.settle({ error: disconnected(request.name, reason) })
    this.#handlers.onEnd(reason)
  }
}

function disconnected(what: string, reason?: CloseReason): OttlaError {
  const why = reason ? `: closed with ${reason.code}${reason.reason && ` (${reason.reason})`}` : ''
  return new OttlaError('DISCONNECTED', { message: `the connection ended before ${what} was answered${why}` })
}

function timedOut(name: string, timeoutMs: number): OttlaError {
  return new OttlaError('TIMEOUT', { message: `${name} was not answered within ${timeoutMs} ms` })
}

function tooLarge(name: string, sizeBytes: number, limitBytes: number): OttlaError {
  return relayError('TOO_LARGE', { message: `${name} takes ${sizeBytes} bytes, the relay takes ${limitBytes}` })
}

function tooMany(name: string): OttlaError {
  return new OttlaError('BUFFER_FULL', { message: `${REQUESTS_MAX} requests wait already; ${name} was not sent` })
}
