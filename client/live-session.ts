/**
 * The session itself: connects, shakes hands, keeps the connection, comes back.
 *
 *     connecting --open + handshake--> live --end--> offline --back-off or wake-up--> connecting
 *         |                              |
 *         +----- 4401: needs-auth -------+------ final close code: closed (nothing leaves it)
 *
 * Invariants: at most one connection at a time; `state` changes before anybody is told; only `live` sends requests.
 */
import type { Api } from '../protocol/api.ts'
import type { Reader } from '../protocol/bytes/reader.ts'
import type { Clock, Timer } from '../protocol/lib/clock.ts'
import { Emitter } from '../protocol/lib/events.ts'
import type { Random } from '../protocol/lib/random.ts'
import { type ChannelNews, channelNews } from '../protocol/messages/channels.ts'
import {
  CloseCode,
  closing,
  deliver,
  deliverMatching,
  heartbeat,
  ping,
  subscriptionEnded,
} from '../protocol/messages/offset-protocol.ts'
import { type Progress, progress } from '../protocol/messages/receipts.ts'
import { Backoff, type BackoffOptions } from './backoff.ts'
import { Connection } from './connection.ts'
import { asOttlaError, type ErrorInfo, OttlaError } from './errors.ts'
import { type Handshake, type RelayHandshake, shakeHands } from './handshake.ts'
import { HeartbeatWatch } from './heartbeat-watch.ts'
import { RelayClock } from './relay-clock.ts'
import { relayError } from './relay-errors.ts'
import type { AnsweredCall, ConnectionState, RelayLimits, Session, SubscribeRequest, Subscription } from './session.ts'
import { Subscriptions } from './subscriptions.ts'
import { RelayTopicDirectory } from './topic-directory.ts'
import type { CloseReason, Transport } from './transport/transport.ts'
import { verdictOf } from './transport/transport.ts'
import { noWakeUps, type WakeUps } from './wake-ups.ts'

export interface ReplicaIdentity {
  /** 22 characters; a relay keeps one connection for each. */
  replicaId: string
  /** Higher at every call, also over restarts: the relay closes the connection with the lower number. */
  nextGeneration(): number
}

export interface SessionOptions {
  url: string
  transport: Transport
  clock: Clock
  random: Random
  identity: ReplicaIdentity
  /** Named to the relay in every request, for its logs. Default null. */
  clientId?: string | null
  /** Longest silence wanted; the relay decides. Default 10 s. */
  heartbeatMs?: number
  /** Default 15 s. */
  requestTimeoutMs?: number
  /** Connection and handshake together. Default 15 s. */
  connectTimeoutMs?: number
  /** For the answer to a Ping sent on a wake-up. Default 4 s. */
  probeTimeoutMs?: number
  backoff?: BackoffOptions
  wakeUps?: WakeUps
}

/** Kafka's code, which subscriptions end with where there are none. */
const UNSUPPORTED_VERSION = 35

interface Live {
  connection: Connection
  handshake: Handshake
  /** None where nobody promised to be heard: a Kafka. */
  watch: HeartbeatWatch | undefined
}

export function openSession(options: SessionOptions): Session {
  const session = new RelaySession(options)
  session.start()
  return session
}

class RelaySession implements Session {
  readonly metadata: RelayTopicDirectory
  readonly #options: SessionOptions
  readonly #clock: Clock
  readonly #backoff: Backoff
  readonly #subscriptions: Subscriptions
  readonly #states = new Emitter<ConnectionState>()
  readonly #heard = new Emitter<void>()
  readonly #progress = new Emitter<Progress>()
  readonly #channelNews = new Emitter<ChannelNews>()
  readonly #requestTimeoutMs: number
  #state: ConnectionState = { phase: 'connecting', attempt: 1 }
  #connection: Connection | undefined
  #live: Live | undefined
  /** The relay's last words, where the transport has no close codes. */
  #farewell: { code: number; reason: string } | undefined
  #isKafka = false
  #limits: RelayLimits | undefined
  readonly #relayClock: RelayClock
  /** Runs out when connecting takes too long, or when it is time to try again. */
  #timer: Timer | undefined
  #stopListening: () => void = () => {}

  constructor(options: SessionOptions) {
    const { clock, random } = options
    this.#options = options
    this.#clock = clock
    this.#relayClock = new RelayClock(clock)
    this.#requestTimeoutMs = options.requestTimeoutMs ?? 15_000
    this.#backoff = new Backoff(clock, random, options.backoff)
    this.metadata = new RelayTopicDirectory((api, body, callOptions) => this.call(api, body, callOptions), clock)
    this.#subscriptions = new Subscriptions(clock, random, (topicId) => this.metadata.forget(topicId))
  }

  get state(): ConnectionState {
    return this.#state
  }

  get isKafka(): boolean {
    return this.#isKafka
  }

  get limits(): RelayLimits | undefined {
    return this.#limits
  }

  get clockOffsetMs(): number | undefined {
    return this.#relayClock.offsetMs
  }

  get clockErrorMs(): number | undefined {
    return this.#relayClock.errorMs
  }

  onState(listener: (state: ConnectionState) => void): () => void {
    return this.#states.on(listener)
  }

  onHeard(listener: () => void): () => void {
    return this.#heard.on(listener)
  }

  onProgress(listener: (news: Progress) => void): () => void {
    return this.#progress.on(listener)
  }

  onChannelNews(listener: (news: ChannelNews) => void): () => void {
    return this.#channelNews.on(listener)
  }

  start(): void {
    this.#stopListening = (this.#options.wakeUps ?? noWakeUps).listen(() => this.retryNow())
    this.#connect()
  }

  async call<Res, ReqIn>(
    api: Api<unknown, Res, ReqIn, never>,
    body: ReqIn,
    options: AnsweredCall<Res> = {},
  ): Promise<Res> {
    const live = this.#live
    if (!live) throw notLive(api.name, this.#state)
    const { timeoutMs = this.#requestTimeoutMs, signal, onAnswer } = options
    return live.connection.request(api, live.handshake.versions.choose(api), body, { timeoutMs, signal, onAnswer })
  }

  subscribe(request: SubscribeRequest): Subscription {
    if (this.#state.phase === 'closed') throw notLive('subscribing', this.#state)
    return this.#subscriptions.add(request)
  }

  isSubscribed(topicId: string, partition: number): boolean {
    return this.#subscriptions.has(topicId, partition)
  }

  retryNow(): void {
    if (this.#state.phase === 'offline') this.#connect()
    else this.#live?.watch?.probe()
  }

  reauthenticate(): void {
    if (this.#state.phase === 'needs-auth') this.#connect()
  }

  async close(): Promise<void> {
    if (this.#state.phase !== 'closed') this.#shut(null)
  }

  #connect(): void {
    this.#timer?.cancel()
    const { url, transport, clientId = null, connectTimeoutMs = 15_000 } = this.#options
    this.#setState({ phase: 'connecting', attempt: this.#backoff.attempts + 1 })
    // Handlers name the connection they belong to through this constant; it is set before any of them runs.
    try {
      const connection: Connection = new Connection(
        { url, transport, clientId, clock: this.#clock },
        {
          onOpen: () => void this.#greet(connection),
          onSignOfLife: () => {
            this.#live?.watch?.signOfLife()
            if (this.#relayClock.isDue) this.#askTime(connection)
            this.#heard.emit()
          },
          readPush: (key, version, body) => this.#readPush(key, version, body),
          onEnd: (reason) => this.#ended(connection, reason),
        },
      )
      this.#connection = connection
      this.#timer = this.#clock.setTimer(connectTimeoutMs, () =>
        connection.close(CloseCode.heartbeatTimeout, `no connection within ${connectTimeoutMs} ms`),
      )
    } catch (thrown) {
      this.#shut(asOttlaError(thrown, 'INVALID_ARGUMENT').toInfo())
    }
  }

  async #greet(connection: Connection): Promise<void> {
    const { identity, heartbeatMs = 10_000, transport } = this.#options
    const { mayBeKafka = false } = transport
    const { replicaId } = identity
    const generation = identity.nextGeneration()
    try {
      const timeoutMs = this.#requestTimeoutMs
      const handshake = await shakeHands(connection, {
        ...{ replicaId, generation, heartbeatMs, timeoutMs, mayBeKafka, relayClock: this.#relayClock },
      })
      if (this.#connection === connection) this.#goLive(connection, handshake)
    } catch (thrown) {
      this.#handshakeFailed(connection, asOttlaError(thrown, 'PROTOCOL'))
    }
  }

  #handshakeFailed(connection: Connection, error: OttlaError): void {
    if (this.#connection !== connection) return
    if (error.retriable) return connection.close(CloseCode.heartbeatTimeout, error.message)
    this.#shut(error.toInfo())
  }

  #goLive(connection: Connection, handshake: Handshake): void {
    this.#timer?.cancel()
    this.#backoff.connected()
    const watch = handshake.isKafka ? undefined : this.#watch(connection, handshake)
    this.#live = { connection, handshake, watch }
    this.#isKafka = handshake.isKafka
    this.#setState({ phase: 'live', sinceMs: this.#clock.now() })
    if (handshake.isKafka) return this.#subscriptions.refuseAll(UNSUPPORTED_VERSION)
    this.#limits = handshake.limits
    connection.requestBytesMax = handshake.limits.requestBytesMax
    this.#subscriptions.attach({
      connection,
      versions: handshake.versions,
      creditBytesMax: handshake.limits.creditBytesMax,
      requestTimeoutMs: this.#requestTimeoutMs,
    })
  }

  #watch(connection: Connection, handshake: RelayHandshake): HeartbeatWatch {
    return new HeartbeatWatch({
      clock: this.#clock,
      heartbeatMs: handshake.heartbeatMs,
      probeTimeoutMs: this.#options.probeTimeoutMs ?? 4_000,
      probe: () => this.#ping(connection, handshake),
      onDead: (silentMs) =>
        connection.close(CloseCode.heartbeatTimeout, `nothing heard for ${Math.round(silentMs)} ms`),
    })
  }

  #ping(connection: Connection, handshake: Handshake): void {
    const answered = this.#relayClock.ask()
    const request = { clientTimeMs: this.#clock.now() }
    connection.request(ping, handshake.versions.choose(ping), request, { timeoutMs: this.#requestTimeoutMs }).then(
      (answer) => answered(answer.serverTimeMs),
      // The watch notices a peer that does not answer.
      () => {},
    )
  }

  #askTime(connection: Connection): void {
    const live = this.#live
    if (live?.connection === connection && !live.handshake.isKafka) this.#ping(connection, live.handshake)
  }

  #readPush(key: number, version: number, body: Reader): (() => void) | undefined {
    if (key === deliver.key) {
      const frame = deliver.body.read(body, version)
      return () => this.#subscriptions.deliver(frame)
    }
    if (key === deliverMatching.key) {
      const frame = deliverMatching.body.read(body, version)
      return () => this.#subscriptions.deliver(frame)
    }
    if (key === subscriptionEnded.key) {
      const end = subscriptionEnded.body.read(body, version)
      return () => this.#subscriptions.ended(end)
    }
    if (key === closing.key) {
      const farewell = closing.body.read(body, version)
      return () => {
        this.#farewell = farewell
      }
    }
    if (key === progress.key) {
      const news = progress.body.read(body, version)
      return () => this.#progress.emit(news)
    }
    if (key === channelNews.key) {
      const news = channelNews.body.read(body, version)
      return () => this.#channelNews.emit(news)
    }
    if (key === heartbeat.key) this.#relayClock.heard(heartbeat.body.read(body, version).serverTimeMs)
    // A kind of push that only newer clients know.
    return undefined
  }

  #ended(connection: Connection, end: CloseReason): void {
    if (this.#connection !== connection) return
    const reason: CloseReason = end.by === 'relay' ? { ...end, ...this.#farewell } : end
    this.#dropConnection()
    const verdict = reason.by === 'relay' ? verdictOf(reason.code) : 'come-back'
    const error = endError(reason)
    if (verdict === 'come-back') return this.#wait(error.toInfo())
    if (verdict === 'needs-auth') return this.#setState({ phase: 'needs-auth', error: error.toInfo() })
    this.#shut(error.toInfo())
  }

  #wait(error: ErrorInfo): void {
    const delayMs = this.#backoff.nextDelayMs()
    this.#timer = this.#clock.setTimer(delayMs, () => this.#connect())
    const retryAtMs = this.#clock.now() + delayMs
    this.#setState({ phase: 'offline', attempt: this.#backoff.attempts, retryAtMs, error })
  }

  #dropConnection(): void {
    this.#timer?.cancel()
    this.#live?.watch?.stop()
    this.#live = undefined
    this.#connection = undefined
    this.#farewell = undefined
    this.#subscriptions.detach()
  }

  /** The end of the session, for the reason given or because its owner wants it. */
  #shut(error: ErrorInfo | null): void {
    const connection = this.#connection
    this.#dropConnection()
    this.#stopListening()
    this.#subscriptions.closeAll()
    this.#setState({ phase: 'closed', error })
    connection?.close(CloseCode.normal, 'client closed')
  }

  /** Listeners run in a turn of their own, so none of them can act in the middle of a change. */
  #setState(state: ConnectionState): void {
    this.#state = state
    queueMicrotask(() => this.#states.emit(state))
  }
}

function endError({ code, reason, by }: CloseReason): OttlaError {
  const message = `the connection was closed ${by === 'us' ? 'by this client' : 'by the relay'} with ${code}${reason && `: ${reason}`}`
  if (code === CloseCode.malformed && by === 'us') return new OttlaError('PROTOCOL', { message })
  if (by === 'us') return new OttlaError('DISCONNECTED', { message })
  switch (verdictOf(code)) {
    case 'needs-auth':
      return relayError('NEEDS_AUTH', { message })
    case 'replaced':
      return relayError('REPLACED', { message })
    case 'stay-away':
      return relayError('REFUSED', { message })
    default:
      return new OttlaError('DISCONNECTED', { message })
  }
}

function notLive(what: string, state: ConnectionState): OttlaError {
  const code = state.phase === 'closed' ? 'CLOSED' : state.phase === 'needs-auth' ? 'NEEDS_AUTH' : 'DISCONNECTED'
  const why = 'error' in state && state.error ? ` (${state.error.message})` : ''
  return relayError(code, { message: `${what} needs the relay, but the session is ${state.phase}${why}` })
}
