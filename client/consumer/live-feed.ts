/**
 * One partition, live. Credit is the back-pressure: the relay may send what the application has taken and no more.
 *
 * Invariant: bytes held here + credit at the relay <= bufferBytesMax + one frame. The position is the offset after
 * what was queued last, so that nothing is asked for twice after a reconnect.
 */
import { type Deliver, FROM_END, FROM_START } from '../../protocol/messages/offset-protocol.ts'
import { batchesIn } from '../../protocol/record-batch.ts'
import type { TopicInfo } from '../core.ts'
import { OttlaError } from '../errors.ts'
import { kafkaFailure } from '../kafka-failure.ts'
import { needsRelay } from '../needs-relay.ts'
import type { Gap } from '../record.ts'
import type { Session, Subscription, SubscriptionEnd, SubscriptionStarted } from '../session.ts'
import { END, type Feed, type FeedEvents, type FeedOptions, type Frame } from './source.ts'

const OFFSET_OUT_OF_RANGE = 1
const UNSUPPORTED_VERSION = 35
const FENCED_LEADER_EPOCH = 74
/** The relay may overshoot by one frame; this much more is no oversight. */
const OVERSHOOT_BYTES_MAX = 16 * 1024 * 1024

export class LiveFeed implements Feed {
  readonly partition: number
  readonly #topic: TopicInfo
  readonly #options: FeedOptions
  readonly #events: FeedEvents
  readonly #subscription: Subscription
  readonly #unlisten: () => void
  #queue: Frame[] = []
  /** Frames that count against the buffer: queued, or taken and not released. */
  #held = new Set<Frame>()
  #heldBytes = 0
  /** To be marked on the next frame. */
  #gap: Gap | undefined
  #position: number
  #leaderEpoch: number
  #endOffset = -1
  #isAtEnd = false
  #isExact: boolean
  /** A gap whose far side is known only when the subscription has begun. */
  #openGap: Omit<Gap, 'to'> | undefined
  #isClosed = false

  constructor(session: Session, topic: TopicInfo, partition: number, options: FeedOptions, events: FeedEvents) {
    this.partition = partition
    this.#topic = topic
    this.#options = options
    this.#events = events
    this.#position = options.from
    this.#isExact = options.isExact
    this.#leaderEpoch = options.leaderEpoch ?? -1
    this.#subscription = session.subscribe({
      topicId: topic.id,
      partition,
      isolation: options.isolation,
      position: () => ({ offset: this.#position, leaderEpoch: this.#leaderEpoch }),
      credit: () => Math.max(0, options.bufferBytesMax - this.#heldBytes),
      onStarted: (started) => this.#started(started),
      onDeliver: (frame) => this.#delivered(frame),
      onEnded: (end) => this.#ended(end),
    })
    this.#unlisten = session.onState((state) => {
      if (state.phase === 'live') return
      this.#isAtEnd = false
      if (state.phase === 'closed') this.#fail(closedError(state.error))
      if (state.phase === 'needs-auth') this.#events.onReady()
    })
  }

  get isUpToDate(): boolean {
    return this.#isAtEnd && this.#queue.length === 0
  }

  /** Where the log ends, as last heard; -1 before. */
  get endOffset(): number {
    return this.#endOffset
  }

  take(): Frame | undefined {
    return this.#queue.shift()
  }

  seek(offset: number): void {
    this.#dropAll()
    this.#position = offset
    this.#leaderEpoch = -1
    this.#isExact = offset >= 0
    this.#isAtEnd = false
    this.#gap = this.#openGap = undefined
    this.#subscription.restart()
  }

  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#unlisten()
    this.#subscription.close()
    this.#dropAll()
  }

  #dropAll(): void {
    this.#queue = []
    this.#held.clear()
    this.#heldBytes = 0
  }

  #drop(frame: Frame): boolean {
    if (!this.#held.delete(frame)) return false
    this.#heldBytes -= frame.batches.length
    return true
  }

  #started({ startOffset, highWatermark, lastStableOffset }: SubscriptionStarted): void {
    this.#endOffset = this.#options.isolation === 1 ? lastStableOffset : highWatermark
    if (this.#openGap) this.#tellGap({ ...this.#openGap, to: startOffset })
    this.#openGap = undefined
    // From here on "the end" is this offset, also after a reconnect before anything came.
    if (this.#position >= 0) return
    this.#position = startOffset
    this.#events.onStart(this.partition, startOffset)
  }

  #delivered(frame: Deliver): void {
    const endOffset = this.#options.isolation === 1 ? frame.lastStableOffset : frame.highWatermark
    this.#endOffset = endOffset
    this.#isAtEnd = frame.nextOffset >= endOffset
    if (frame.records.length > 0 && frame.nextOffset > this.#position) this.#push(frame)
    this.#events.onReady()
  }

  #push({ records, nextOffset, aborted }: Deliver): void {
    let leaderEpoch: number
    try {
      leaderEpoch = lastEpochIn(records)
    } catch (cause) {
      return this.#fail(
        new OttlaError('CORRUPT', { message: `${this.#name}: the relay sent no record batches`, cause }),
      )
    }
    const frame: Frame = {
      partition: this.partition,
      batches: records,
      fromOffset: this.#position,
      nextOffset,
      aborted: this.#options.isolation === 1 ? aborted : [],
      gap: this.#gap,
      release: () => {
        if (this.#drop(frame)) this.#subscription.grant(records.length)
      },
    }
    this.#gap = undefined
    this.#queue.push(frame)
    this.#held.add(frame)
    this.#heldBytes += records.length
    this.#position = nextOffset
    this.#leaderEpoch = leaderEpoch
    this.#isExact = true
    if (this.#heldBytes > this.#options.bufferBytesMax + OVERSHOOT_BYTES_MAX) {
      this.#fail(new OttlaError('PROTOCOL', { message: `the relay sends ${this.#name} without credit` }))
    }
  }

  #ended(end: SubscriptionEnd): void {
    this.#isAtEnd = false
    if (end.retryInMs !== null) return
    if (end.errorCode === OFFSET_OUT_OF_RANGE) return this.#outOfRange(end.logStart)
    if (end.errorCode === FENCED_LEADER_EPOCH) return this.#truncated(end.truncateTo)
    if (end.errorCode === UNSUPPORTED_VERSION) return this.#fail(needsRelay(`reading ${this.#name}`))
    this.#fail(kafkaFailure(end.errorCode, `reading ${this.#name}`))
  }

  #outOfRange(logStart: number): void {
    const wanted = this.#position
    // Beyond the end rather than before the start: the log was cut and the relay does not know where.
    if (logStart >= 0 && logStart <= wanted) return this.#goOn({ reason: 'truncated', to: END })
    // A start that was worked out is as near as can be: retention was quicker.
    if (this.#options.onMissingOffset !== 'latest' || !this.#isExact) {
      return this.#goOn({ reason: 'deleted', to: logStart >= 0 ? logStart : FROM_START })
    }
    this.#goOn({ reason: 'deleted', to: FROM_END })
  }

  #truncated(truncateTo: number): void {
    if (truncateTo >= 0 && truncateTo < this.#position) return this.#goOn({ reason: 'truncated', to: truncateTo })
    // What was read is still the log's; only the epoch was not.
    this.#leaderEpoch = -1
    this.#subscription.restart()
  }

  /** Moves on to `to` by the reader's policy, and says what is missing. */
  #goOn({ reason, to }: Pick<Gap, 'reason' | 'to'>): void {
    const { partition } = this
    const from = this.#position
    if (this.#options.onMissingOffset === 'fail' && this.#isExact) {
      const code = reason === 'deleted' ? 'OFFSET_OUT_OF_RANGE' : 'LOG_TRUNCATED'
      return this.#fail(new OttlaError(code, { message: `offset ${from} of ${this.#name} is gone` }))
    }
    // A frame that reaches beyond the cut is read again from its front, which may be the log's still.
    const next = reason === 'truncated' ? this.#dropBeyond(to) : to
    if (this.#isExact && next >= 0) this.#tellGap({ partition, from, to: next, reason })
    else if (this.#isExact) this.#openGap = { partition, from, reason }
    this.#position = next
    this.#leaderEpoch = -1
    this.#subscription.restart()
  }

  #tellGap(gap: Gap): void {
    this.#gap = gap
    this.#events.onGap(gap)
  }

  /** Queued records that the log has lost are not given any more. Returns where to go on. */
  #dropBeyond(offset: number): number {
    if (offset < 0) return offset
    const lost = this.#queue.filter((frame) => frame.nextOffset > offset)
    this.#queue = this.#queue.filter((frame) => frame.nextOffset <= offset)
    for (const frame of lost) this.#drop(frame)
    return Math.min(offset, lost[0]?.fromOffset ?? offset)
  }

  #fail(error: unknown): void {
    if (this.#isClosed) return
    this.close()
    this.#events.onFailed(error)
  }

  get #name(): string {
    return `${this.#topic.name}-${this.partition}`
  }
}

function lastEpochIn(records: Uint8Array): number {
  let epoch = -1
  for (const { header } of batchesIn(records)) epoch = header.leaderEpoch
  return epoch
}

function closedError(info: { message: string } | null): OttlaError {
  return new OttlaError('CLOSED', { message: info ? `the connection was closed for good: ${info.message}` : 'closed' })
}
