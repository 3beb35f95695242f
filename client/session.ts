/**
 * What a session is: one live connection to the relay, kept alive, with calls and subscriptions on top.
 *
 * Contract only; `openSession` in live-session.ts makes one. Invariants seen by users: calls fail fast while offline
 * (nothing is queued here); subscriptions outlive connections; listeners are never called inside a call to the session.
 */
import type { Api } from '../protocol/api.ts'
import type { ChannelNews } from '../protocol/messages/channels.ts'
import type { Deliver, DeliverMatching } from '../protocol/messages/offset-protocol.ts'
import type { Progress } from '../protocol/messages/receipts.ts'
import type { TopicInfo } from './core.ts'
import type { ErrorInfo } from './errors.ts'

/** Times are wall-clock milliseconds. */
export type ConnectionState =
  | { phase: 'connecting'; attempt: number }
  | { phase: 'live'; sinceMs: number }
  | { phase: 'offline'; attempt: number; retryAtMs: number; error: ErrorInfo }
  | { phase: 'needs-auth'; error: ErrorInfo }
  | { phase: 'closed'; error: ErrorInfo | null }

export interface CallOptions {
  signal?: AbortSignal
  /** Default: the session's requestTimeoutMs, 15 s. */
  timeoutMs?: number
}

export interface AnsweredCall<Res> extends CallOptions {
  /** Called before any push behind the answer is told of, which may be in the turn in which both came. */
  onAnswer?(answer: Res): void
}

export interface TopicDirectory {
  /** From the cache, else from the relay. Rejects UNKNOWN_TOPIC, NOT_AUTHORIZED, DISCONNECTED. */
  lookUp(name: string): Promise<TopicInfo>
  lookUpId(topicId: string): Promise<TopicInfo>
  /** Only what is cached. */
  known(name: string): TopicInfo | undefined
  /** Asks the relay again whatever is cached. All of them when no name is given. */
  refresh(names?: readonly string[]): Promise<TopicInfo[]>
  /** Forgets one topic, after an answer that showed the cache to be wrong. */
  forget(nameOrId: string): void
}

/** What the relay said when a subscription began. */
export interface SubscriptionStarted {
  logStart: number
  highWatermark: number
  lastStableOffset: number
  leaderEpoch: number
  /** Where deliveries begin: the asked offset, or what -1 (end) and -2 (start) stood for. */
  startOffset: number
}

/** Why a subscription stands still. */
export interface SubscriptionEnd {
  /** Kafka's error code. */
  errorCode: number
  /** -1 when the relay did not say. */
  logStart: number
  /** -1, or the offset from which the records held are no longer the log's. */
  truncateTo: number
  /**
   * A number: only time is needed (a storage fault, say) and the session tries again by itself after so many ms.
   * null: the owner must act, then call `restart()` or `close()`.
   */
  retryInMs: number | null
}

export interface SubscriptionPosition {
  /** The next offset wanted; -1 the end, -2 the start of the log. */
  offset: number
  /** Of the last record held; -1 when none is held. */
  leaderEpoch: number
  /** Left out: all records. A relay that knows no filters ends the subscription with 35. */
  filter?: SubscribedKeys | undefined
}

export interface SubscribedKeys {
  /** Tells filters apart. */
  text: string
  keys: readonly Uint8Array[]
  prefixes: readonly Uint8Array[]
}

/** `skipped` and `lastEpoch` where some keys were asked for. */
export type DeliveredFrame = Deliver & Partial<Pick<DeliverMatching, 'skipped' | 'lastEpoch'>>

export interface SubscribeRequest {
  topicId: string
  partition: number
  /** 0 (default) all records, 1 only what is stable: up to the last stable offset. */
  isolation?: 0 | 1
  /** Asked at the moment each (re)subscription is written. */
  position(): SubscriptionPosition
  /** Bytes that may come before more is granted. A function is asked at each (re)subscription, like `position`. */
  credit: number | (() => number)
  /** `frame.records` is a view of the received message: copy what is kept. Called in order, never after `close()`. */
  onDeliver(frame: DeliveredFrame): void
  onStarted?(started: SubscriptionStarted): void
  onEnded(end: SubscriptionEnd): void
}

export interface Subscription {
  /** Allows so many bytes more. Grants of one microtask go out as one message. Does nothing while offline. */
  grant(bytes: number): void
  /** Subscribes again at `position()`, whatever state it is in. */
  restart(): void
  /** Idempotent. */
  close(): void
}

export interface RelayLimits {
  clusterId: string
  requestBytesMax: number
  creditBytesMax: number
  /** How long the relay remembers an idle producer id. */
  producerIdExpirationMs: number
}

export interface Session {
  readonly state: ConnectionState
  onState(listener: (state: ConnectionState) => void): () => void
  /** What was found at the address was no relay: calls work as far as it offers them, subscriptions end with 35. */
  readonly isKafka: boolean
  /**
   * Something came from the relay. In a hidden page, whose timers sleep, this still happens at every heartbeat of the
   * relay: whatever must be done in time is best done here.
   */
  onHeard(listener: () => void): () => void
  /** A group that is watched (WatchProgress) has come on. */
  onProgress(listener: (news: Progress) => void): () => void
  /** Something has happened in a channel that was joined on this connection. */
  onChannelNews(listener: (news: ChannelNews) => void): () => void
  /** What the relay said in its handshake; undefined before the first one. */
  readonly limits: RelayLimits | undefined
  /** Add to the local wall clock to get the relay's; see relay-clock.ts. */
  readonly clockOffsetMs: number | undefined
  /** How far that may be off. */
  readonly clockErrorMs: number | undefined
  /** Rejects DISCONNECTED, TIMEOUT, ABORTED, CLOSED, UNSUPPORTED, PROTOCOL. Error codes inside the answer are the caller's. */
  call<Res, ReqIn>(api: Api<unknown, Res, ReqIn, never>, body: ReqIn, options?: AnsweredCall<Res>): Promise<Res>
  readonly metadata: TopicDirectory
  /** Throws INVALID_ARGUMENT when this session has a subscription to that partition: one each, by protocol. */
  subscribe(request: SubscribeRequest): Subscription
  isSubscribed(topicId: string, partition: number): boolean
  /** Connects (or probes) now instead of when the back-off says. Leaves `closed` and `needs-auth` alone. */
  retryNow(): void
  /** Leaves needs-auth and connects again, once what is signed in with has been renewed. */
  reauthenticate(): void
  /** Idempotent; ends the connection with 1000. */
  close(): Promise<void>
}
