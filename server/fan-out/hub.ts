/**
 * The fan-out hub: who is subscribed to what. One `PartitionFanOut` per partition that has ever had a subscriber, made
 * when it is first needed.
 */
import { ErrorCode } from '../../protocol/errors.ts'
import type { Clock } from '../../protocol/lib/clock.ts'
import { FROM_END, FROM_START } from '../../protocol/messages/offset-protocol.ts'
import { damagedFrom } from '../damage.ts'
import type { Engine, Topic } from '../engine.ts'
import type { PartitionLog } from '../log/partition-log.ts'
import type { Peer } from '../peer.ts'
import { CatchUpReader } from './catch-up.ts'
import { type KeyFilter, PEER_FILTER_BYTES_MAX } from './key-filter.ts'
import { MatchingReader } from './matching-reader.ts'
import { PartitionFanOut } from './partition-fan-out.ts'
import { Subscription } from './subscription.ts'

export const SUBSCRIPTIONS_PER_PEER_MAX = 4096
/** No subscription may be granted more than this ahead: what is in flight to one peer stays bounded. */
export const CREDIT_BYTES_MAX = 64 * 1024 * 1024

export interface SubscribePosition {
  partition: number
  offset: number
  leaderEpoch: number
  credit: number
  isCommitted: boolean
  /** undefined: all records. */
  filter?: KeyFilter
}

export interface SubscribeOutcome {
  errorCode: number
  logStart: number
  highWatermark: number
  lastStableOffset: number
  leaderEpoch: number
  startOffset: number
  truncateTo: number
  /** Call it after the answer has been written, so that deliveries come behind it. */
  begin?: () => void
}

export class Hub {
  readonly #clock: Clock
  readonly #catchUp: CatchUpReader
  readonly #matching: MatchingReader
  readonly #fanOuts = new Map<string, PartitionFanOut[]>()

  constructor(engine: Engine, clock: Clock) {
    this.#clock = clock
    this.#catchUp = new CatchUpReader(clock)
    this.#matching = new MatchingReader(clock)
    engine.onTopicDeleted((topic) => this.#onTopicDeleted(topic))
  }

  subscribe(peer: Peer, topic: Topic, asked: SubscribePosition): SubscribeOutcome {
    const log = topic.partitions[asked.partition]
    if (!log) return failed(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
    const fanOut = this.#fanOutOf(topic, asked.partition, log)
    const previous = peer.subscriptions?.get(fanOut)
    if (!previous && (peer.subscriptions?.size ?? 0) >= SUBSCRIPTIONS_PER_PEER_MAX)
      return failed(ErrorCode.POLICY_VIOLATION)
    if (previous) this.#remove(peer, previous)
    if (asked.filter && filterBytesOf(peer, asked.filter) > PEER_FILTER_BYTES_MAX)
      return failed(ErrorCode.POLICY_VIOLATION)
    const outcome = locate(log, asked)
    if (outcome.errorCode !== ErrorCode.NONE) return outcome
    const credit = Math.min(Math.max(0, asked.credit), CREDIT_BYTES_MAX)
    const { isCommitted, filter, leaderEpoch } = asked
    const start = { position: outcome.startOffset, leaderEpoch, credit, isCommitted, filter }
    const subscription = new Subscription(peer, fanOut, start)
    peer.subscriptions ??= new Map()
    peer.subscriptions.set(fanOut, subscription)
    return { ...outcome, begin: () => begin(subscription) }
  }

  grant(peer: Peer, topicId: string, partition: number, bytes: number): void {
    const subscription = this.#find(peer, topicId, partition)
    // A grant may cross with the end of its subscription; that is no error.
    if (!subscription || bytes <= 0) return
    subscription.credit = Math.min(subscription.credit + bytes, CREDIT_BYTES_MAX)
    subscription.fanOut.resume(subscription)
  }

  unsubscribe(peer: Peer, topicId: string, partition: number): void {
    const subscription = this.#find(peer, topicId, partition)
    if (subscription) this.#remove(peer, subscription)
  }

  /** Ends one, and says why. */
  end(peer: Peer, topicId: string, partition: number, errorCode: number): void {
    const subscription = this.#find(peer, topicId, partition)
    subscription?.fanOut.end(subscription, errorCode)
  }

  /** Those who may not read any more are told so, and get nothing more. */
  endWhere(mayNot: (peer: Peer, topicId: string) => boolean, errorCode: number): void {
    for (const fanOut of [...this.#fanOuts.values()].flat())
      fanOut?.endWhere((peer) => mayNot(peer, fanOut.topicId), errorCode)
  }

  /** The connection has room again. */
  onDrain(peer: Peer): void {
    for (const subscription of peer.subscriptions?.values() ?? []) subscription.fanOut.resume(subscription)
  }

  onPeerClosed(peer: Peer): void {
    for (const subscription of peer.subscriptions?.values() ?? []) subscription.fanOut.remove(subscription)
    peer.subscriptions = undefined
  }

  #find(peer: Peer, topicId: string, partition: number): Subscription | undefined {
    const fanOut = this.#fanOuts.get(topicId)?.[partition]
    return fanOut && peer.subscriptions?.get(fanOut)
  }

  #remove(peer: Peer, subscription: Subscription): void {
    subscription.fanOut.remove(subscription)
    peer.subscriptions?.delete(subscription.fanOut)
  }

  #fanOutOf(topic: Topic, partition: number, log: PartitionLog): PartitionFanOut {
    let ofTopic = this.#fanOuts.get(topic.id)
    if (!ofTopic) {
      ofTopic = []
      this.#fanOuts.set(topic.id, ofTopic)
    }
    ofTopic[partition] ??= new PartitionFanOut({
      ...{ topicId: topic.id, partition, log, clock: this.#clock },
      ...{ catchUp: this.#catchUp, matching: this.#matching },
    })
    return ofTopic[partition]
  }

  #onTopicDeleted(topic: Topic): void {
    for (const fanOut of this.#fanOuts.get(topic.id) ?? []) fanOut?.close(ErrorCode.UNKNOWN_TOPIC_ID)
    this.#fanOuts.delete(topic.id)
  }
}

/** Partitions that were asked for together share one. */
function filterBytesOf(peer: Peer, added: KeyFilter): number {
  const filters = new Set([added])
  for (const { filter } of peer.subscriptions?.values() ?? []) if (filter) filters.add(filter)
  let sizeBytes = 0
  for (const filter of filters) sizeBytes += filter.sizeBytes
  return sizeBytes
}

function begin(subscription: Subscription): void {
  if (subscription.peer.isClosed || subscription.peer.subscriptions?.get(subscription.fanOut) !== subscription) return
  subscription.fanOut.add(subscription)
}

/**
 * Is the asked position one of this log? An epoch that the log ended earlier, or an offset that it never reached, means
 * that the subscriber holds records that the log does not (KIP-320): it is told from where to cut.
 */
function locate(log: PartitionLog, asked: SubscribePosition): SubscribeOutcome {
  const { startOffset: logStart, highWatermark, lastStableOffset, leaderEpoch } = log
  const state = { logStart, highWatermark, lastStableOffset, leaderEpoch }
  const refused = { ...state, startOffset: -1, truncateTo: -1 }
  const damagedAt = damagedFrom(log, asked.isCommitted)
  const isBeyondDamage = asked.offset === FROM_END ? damagedAt < Number.POSITIVE_INFINITY : asked.offset >= damagedAt
  if (isBeyondDamage) return { ...refused, errorCode: ErrorCode.KAFKA_STORAGE_ERROR }
  const begun = (startOffset: number) => ({ ...state, errorCode: ErrorCode.NONE, startOffset, truncateTo: -1 })
  if (asked.offset === FROM_END) return begun(asked.isCommitted ? lastStableOffset : highWatermark)
  if (asked.offset === FROM_START) return begun(logStart)
  const truncateTo = agreedEndOf(log, asked)
  if (asked.offset > truncateTo) return { ...refused, errorCode: ErrorCode.FENCED_LEADER_EPOCH, truncateTo }
  if (asked.offset < logStart) return { ...refused, errorCode: ErrorCode.OFFSET_OUT_OF_RANGE }
  return begun(asked.offset)
}

/** Up to where a log and a replica with this epoch agree. An epoch so old that its end is forgotten says nothing. */
function agreedEndOf(log: PartitionLog, { leaderEpoch, isCommitted }: SubscribePosition): number {
  const { highWatermark, lastStableOffset } = log
  if (leaderEpoch < 0) return highWatermark
  // What it was told is committed may be open again: the log lost the end of a transaction.
  const end = isCommitted && leaderEpoch < log.leaderEpoch ? lastStableOffset : highWatermark
  const { endOffset } = log.endOffsetForEpoch(leaderEpoch)
  return endOffset < 0 ? end : Math.min(end, endOffset)
}

function failed(errorCode: number): SubscribeOutcome {
  return {
    errorCode,
    logStart: -1,
    highWatermark: -1,
    lastStableOffset: -1,
    leaderEpoch: -1,
    startOffset: -1,
    truncateTo: -1,
  }
}
