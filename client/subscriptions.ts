/**
 * All subscriptions of a session, over however many connections.
 *
 *            add                flush               answer 0
 *   (none) ------> waiting ---------------> asked ------------> active
 *                   ^  ^                      |                   |
 *                   |  +--- connection lost --+-------------------+
 *                   |                         | error             | SubscriptionEnded
 *                   +---- restart, retry --- ended <--------------+
 *
 * Invariants: what is to be said in one microtask goes out as one Unsubscribe, one Subscribe per isolation level and filter,
 * and one Grant, in that order. A Deliver counts only while `active`: one that comes while `asked` belongs to the subscription
 * that is being replaced. Grants made while `asked` are held until the answer, so that none can overtake its Subscribe.
 */
import type { Clock, Timer } from '../protocol/lib/clock.ts'
import type { Random } from '../protocol/lib/random.ts'
import {
  CloseCode,
  grant,
  type SubscriptionEnded,
  subscribe,
  unsubscribe,
} from '../protocol/messages/offset-protocol.ts'
import { Backoff } from './backoff.ts'
import type { Connection } from './connection.ts'
import { OttlaError } from './errors.ts'
import type { OfferedVersions } from './handshake.ts'
import { isTransient } from './kafka-failure.ts'
import type { DeliveredFrame, SubscribeRequest, Subscription, SubscriptionPosition } from './session.ts'

export interface Wire {
  connection: Connection
  versions: OfferedVersions
  creditBytesMax: number
  requestTimeoutMs: number
}

interface Entry {
  key: string
  request: SubscribeRequest
  phase: 'waiting' | 'asked' | 'active' | 'ended' | 'closed'
  /** Which Subscribe was the last one for this entry; answers to earlier ones say nothing. */
  attempt: number
  /** Bytes granted and not yet told to the relay. */
  ungranted: number
  backoff: Backoff
  retryTimer: Timer | undefined
}

interface PartitionAnswer extends SubscriptionEnded {
  highWatermark: number
  lastStableOffset: number
  leaderEpoch: number
  startOffset: number
}

/** Entries that can be asked for in one Subscribe. */
interface Asked {
  isolationLevel: 0 | 1
  filter: SubscriptionPosition['filter']
  entries: Map<Entry, SubscriptionPosition>
}

const UNKNOWN_TOPIC_ID = 100
const UNSUPPORTED_VERSION = 35
/** From this version of Subscribe on a relay knows filters. */
const FILTER_VERSION = 1

const keyOf = (topicId: string, partition: number) => `${topicId}:${partition}`

export class Subscriptions {
  readonly #clock: Clock
  readonly #random: Random
  readonly #onUnknownTopic: (topicId: string) => void
  readonly #entries = new Map<string, Entry>()
  #leaving: Array<{ topicId: string; partition: number }> = []
  #isFlushPlanned = false
  #wire: Wire | undefined
  /** Kafka's error code while nobody can subscribe. */
  #refusal: number | undefined

  constructor(clock: Clock, random: Random, onUnknownTopic: (topicId: string) => void) {
    this.#clock = clock
    this.#random = random
    this.#onUnknownTopic = onUnknownTopic
  }

  has(topicId: string, partition: number): boolean {
    return this.#entries.has(keyOf(topicId, partition))
  }

  add(request: SubscribeRequest): Subscription {
    const { topicId, partition } = request
    const key = keyOf(topicId, partition)
    if (this.#entries.has(key)) throw alreadySubscribed(topicId, partition)
    const backoff = new Backoff(this.#clock, this.#random)
    const entry: Entry = { key, request, phase: 'waiting', attempt: 0, ungranted: 0, backoff, retryTimer: undefined }
    this.#entries.set(key, entry)
    this.#planFlush()
    return {
      grant: (bytes) => this.#grant(entry, bytes),
      restart: () => this.#restart(entry),
      close: () => this.#close(entry),
    }
  }

  /** The session is live on a new connection. */
  attach(wire: Wire): void {
    this.#wire = wire
    this.#planFlush()
  }

  /** Live where nobody can subscribe: what waits ends with this error, and what comes until `detach`. */
  refuseAll(errorCode: number): void {
    this.#refusal = errorCode
    this.#planFlush()
  }

  detach(): void {
    this.#wire = this.#refusal = undefined
    this.#leaving = []
    for (const entry of this.#entries.values()) {
      const isRetrying = entry.retryTimer !== undefined
      if (entry.phase === 'asked' || entry.phase === 'active' || isRetrying) this.#setWaiting(entry)
    }
  }

  closeAll(): void {
    for (const entry of [...this.#entries.values()]) this.#close(entry)
  }

  deliver(frame: DeliveredFrame): void {
    const entry = this.#entries.get(keyOf(frame.topicId, frame.partition))
    if (entry?.phase === 'active') entry.request.onDeliver(frame)
  }

  ended(end: SubscriptionEnded): void {
    const entry = this.#entries.get(keyOf(end.topicId, end.partition))
    if (entry?.phase === 'active') this.#end(entry, end)
  }

  #setWaiting(entry: Entry): void {
    entry.retryTimer?.cancel()
    entry.retryTimer = undefined
    entry.phase = 'waiting'
    entry.ungranted = 0
  }

  #grant(entry: Entry, bytes: number): void {
    if (entry.phase !== 'asked' && entry.phase !== 'active') return
    entry.ungranted += bytes
    if (entry.phase === 'active') this.#planFlush()
  }

  #restart(entry: Entry): void {
    if (entry.phase === 'closed') return
    this.#setWaiting(entry)
    this.#planFlush()
  }

  #close(entry: Entry): void {
    if (entry.phase === 'closed') return
    const { topicId, partition } = entry.request
    if (this.#wire && (entry.phase === 'asked' || entry.phase === 'active')) this.#leaving.push({ topicId, partition })
    this.#setWaiting(entry)
    entry.phase = 'closed'
    this.#entries.delete(entry.key)
    this.#planFlush()
  }

  #planFlush(): void {
    if (this.#isFlushPlanned || (!this.#wire && this.#refusal === undefined)) return
    this.#isFlushPlanned = true
    queueMicrotask(() => {
      this.#isFlushPlanned = false
      if (this.#wire) this.#flush(this.#wire)
      if (this.#refusal !== undefined) this.#refuse(this.#refusal)
    })
  }

  #refuse(errorCode: number, entries: Iterable<Entry> = this.#entries.values()): void {
    for (const entry of [...entries]) {
      const { topicId, partition } = entry.request
      if (entry.phase === 'waiting') this.#end(entry, { topicId, partition, errorCode, logStart: -1, truncateTo: -1 })
    }
  }

  #flush(wire: Wire): void {
    const leaving = this.#leaving
    this.#leaving = []
    if (leaving.length > 0) this.#unsubscribe(wire, leaving)
    for (const asked of this.#waiting()) this.#subscribe(wire, asked)
    this.#sendGrants(wire)
  }

  #waiting(): Iterable<Asked> {
    const groups = new Map<string, Asked>()
    for (const entry of this.#entries.values()) {
      if (entry.phase !== 'waiting') continue
      const isolationLevel = entry.request.isolation ?? 0
      const position = entry.request.position()
      const key = `${isolationLevel}${position.filter?.text ?? ''}`
      const group = groups.get(key) ?? { isolationLevel, filter: position.filter, entries: new Map() }
      groups.set(key, group)
      group.entries.set(entry, position)
    }
    return groups.values()
  }

  #unsubscribe(wire: Wire, partitions: Array<{ topicId: string; partition: number }>): void {
    const { connection, versions, requestTimeoutMs: timeoutMs } = wire
    this.#ask(wire, () => connection.request(unsubscribe, versions.choose(unsubscribe), { partitions }, { timeoutMs }))
  }

  #subscribe(wire: Wire, { isolationLevel, filter, entries }: Asked): void {
    const version = wire.versions.choose(subscribe)
    if (filter && version < FILTER_VERSION) return this.#refuse(UNSUPPORTED_VERSION, entries.keys())
    const partitions = [...entries].map(([entry, { offset, leaderEpoch }]) => {
      const { topicId, partition, credit } = entry.request
      entry.phase = 'asked'
      const wanted = typeof credit === 'function' ? credit() : credit
      return { topicId, partition, offset, leaderEpoch, credit: Math.max(0, Math.min(wanted, wire.creditBytesMax)) }
    })
    const keys = filter && { keys: [...filter.keys], prefixes: [...filter.prefixes] }
    const asked = new Map([...entries.keys()].map((entry) => [entry, ++entry.attempt]))
    this.#ask(wire, () =>
      wire.connection.request(
        subscribe,
        version,
        { isolationLevel, partitions, ...keys },
        {
          timeoutMs: wire.requestTimeoutMs,
          onAnswer: (answer) => this.#answered(wire, asked, answer.partitions),
        },
      ),
    )
  }

  /** A Subscribe that is not answered leaves nobody knowing what holds: the connection is given up. */
  #ask(wire: Wire, request: () => Promise<unknown>): void {
    const giveUp = (error: unknown) => {
      if (this.#wire === wire)
        wire.connection.close(CloseCode.heartbeatTimeout, error instanceof Error ? error.message : 'no answer')
    }
    try {
      request().catch(giveUp)
    } catch (error) {
      giveUp(error)
    }
  }

  #answered(wire: Wire, asked: ReadonlyMap<Entry, number>, answers: readonly PartitionAnswer[]): void {
    if (this.#wire !== wire) return
    for (const answer of answers) {
      const entry = this.#entries.get(keyOf(answer.topicId, answer.partition))
      // Closed, or restarted meanwhile and asked for again: a later answer is the one that counts.
      if (entry?.phase !== 'asked' || asked.get(entry) !== entry.attempt) continue
      if (answer.errorCode === 0) this.#start(entry, answer)
      else this.#end(entry, answer)
    }
    this.#planFlush()
  }

  #start(entry: Entry, answer: PartitionAnswer): void {
    const { logStart, highWatermark, lastStableOffset, leaderEpoch, startOffset } = answer
    entry.phase = 'active'
    entry.backoff.connected()
    entry.request.onStarted?.({ logStart, highWatermark, lastStableOffset, leaderEpoch, startOffset })
  }

  #end(entry: Entry, end: SubscriptionEnded): void {
    const { errorCode, logStart, truncateTo } = end
    entry.phase = 'ended'
    entry.ungranted = 0
    const retryInMs = isTransient(errorCode) ? entry.backoff.nextDelayMs() : null
    if (retryInMs !== null) entry.retryTimer = this.#clock.setTimer(retryInMs, () => this.#restart(entry))
    if (errorCode === UNKNOWN_TOPIC_ID) this.#onUnknownTopic(end.topicId)
    entry.request.onEnded({ errorCode, logStart, truncateTo, retryInMs })
  }

  #sendGrants(wire: Wire): void {
    const grants: Array<{ topicId: string; partition: number; bytes: number }> = []
    for (const entry of this.#entries.values()) {
      if (entry.phase !== 'active' || entry.ungranted <= 0) continue
      const { topicId, partition } = entry.request
      grants.push({ topicId, partition, bytes: Math.min(entry.ungranted, wire.creditBytesMax) })
      entry.ungranted = 0
    }
    if (grants.length > 0) wire.connection.send(grant, wire.versions.choose(grant), { grants })
  }
}

function alreadySubscribed(topicId: string, partition: number): OttlaError {
  return new OttlaError('INVALID_ARGUMENT', {
    message: `this session is subscribed to partition ${partition} of ${topicId} already`,
    hint: 'a connection has one subscription for each partition; open another session for a second one',
  })
}
