/**
 * All subscribers of one partition, and what has been published to those at its tail.
 *
 * Invariant: every subscription in the tail has `position === published`, and `published` never exceeds the durable end
 * of the log. So one frame, built once from batches that are still in memory, serves them all.
 *
 * Pace: the first records after a quiet time go out at once; while they keep coming, frames are held back for as long
 * as the last round of writes took, at most FLUSH_INTERVAL_MS_MAX, so that one write carries many records.
 */
import { ErrorCode } from '../../protocol/errors.ts'
import type { Clock, Timer } from '../../protocol/lib/clock.ts'
import { encodePush, subscriptionEnded } from '../../protocol/messages/offset-protocol.ts'
import { damageCode } from '../damage.ts'
import { WEBSOCKET_HEADER_BYTES_MAX } from '../listener/websocket-frame.ts'
import type { PartitionLog } from '../log/partition-log.ts'
import type { CatchUpReader } from './catch-up.ts'
import { buildFrame, type Frame } from './frame.ts'
import { canTake, type Subscription } from './subscription.ts'

/** Rows of a replica stay under 64 KiB at the tail; above it Chromium moves a value to a file of its own. */
const TAIL_RECORD_BYTES_MAX = 60 * 1024
const FLUSH_INTERVAL_MS_MAX = 5
/** A round of writes this short is not worth holding anything back for. */
const CHEAP_FLUSH_MS = 0.5

export class PartitionFanOut {
  readonly topicId: string
  readonly partition: number
  readonly log: PartitionLog
  readonly #clock: Clock
  readonly #catchUp: CatchUpReader
  readonly #stopListening: () => void
  readonly #all = new Set<Subscription>()
  readonly #tail: Subscription[] = []
  #published: number
  #logStart: number
  #nextFlushAt = 0
  #flushTimer: Timer | undefined
  #mark: Frame | undefined
  /** Why the whole fan-out has ended. */
  #closedWith: number | undefined

  constructor(topicId: string, partition: number, log: PartitionLog, clock: Clock, catchUp: CatchUpReader) {
    this.topicId = topicId
    this.partition = partition
    this.log = log
    this.#clock = clock
    this.#catchUp = catchUp
    this.#published = log.highWatermark
    this.#logStart = log.startOffset
    this.#stopListening = log.onAdvance(() => this.#onAdvance())
  }

  get published(): number {
    return this.#published
  }

  get subscriberCount(): number {
    return this.#all.size
  }

  add(subscription: Subscription): void {
    // Asked for before the topic was deleted, begun after it.
    if (this.#closedWith !== undefined) return this.end(subscription, this.#closedWith)
    if (this.#all.size === 0) this.#published = this.log.highWatermark
    this.#all.add(subscription)
    // Begun at an end that those in the tail have not been sent yet: they get it now.
    if (subscription.position > this.#published) this.#flush()
    this.arrive(subscription)
  }

  remove(subscription: Subscription): void {
    this.#leaveTail(subscription)
    subscription.place = 'ended'
    this.#all.delete(subscription)
  }

  /** Puts a subscription where its position says: into the tail, or behind it. */
  arrive(subscription: Subscription): void {
    if (subscription.position < this.#published) {
      subscription.place = 'behind'
      this.#catchUp.request(subscription)
      return
    }
    // A damaged log that has been read to its end has no tail: there was more.
    const code = damageCode(this.log, subscription.position)
    if (code !== ErrorCode.NONE && this.#closedWith === undefined) return this.end(subscription, code)
    subscription.place = 'tail'
    subscription.tailIndex = this.#tail.push(subscription) - 1
  }

  /** Tells a subscription that has just begun at the end that there is nothing it lacks. */
  sendMark(subscription: Subscription): void {
    if (this.#mark?.nextOffset !== this.#published)
      this.#mark = buildFrame(this.#fields(this.#published, this.#published), [])
    subscription.peer.sendFrame(this.#mark!)
  }

  /** More credit, or a drained connection: whoever was left behind for the lack of it may go on. */
  resume(subscription: Subscription): void {
    if (subscription.place === 'behind') this.#catchUp.request(subscription)
  }

  /** Sends `frame` to one subscription that is catching up. */
  deliver(subscription: Subscription, frame: Frame): void {
    subscription.credit -= frame.recordBytes
    subscription.position = frame.nextOffset
    subscription.peer.sendFrame(frame)
  }

  /** One frame of at most `recordBytesMax` from `offset` on, read from the log, up to what is published. */
  async readFrame(offset: number, recordBytesMax: number): Promise<Frame> {
    const slice = await this.log.read(offset, recordBytesMax, this.#published)
    return buildFrame(this.#fields(slice.baseOffset, slice.nextOffset), [slice.bytes])
  }

  end(subscription: Subscription, errorCode: number, truncateTo = -1): void {
    this.remove(subscription)
    subscription.peer.subscriptions?.delete(this)
    const body = {
      topicId: this.topicId,
      partition: this.partition,
      errorCode,
      logStart: this.log.startOffset,
      truncateTo,
    }
    const message = encodePush(subscriptionEnded, body, { headroom: WEBSOCKET_HEADER_BYTES_MAX })
    subscription.peer.sendMessage(message, WEBSOCKET_HEADER_BYTES_MAX)
  }

  close(errorCode: number): void {
    this.#closedWith = errorCode
    this.#stopListening()
    this.#flushTimer?.cancel()
    for (const subscription of [...this.#all]) this.end(subscription, errorCode)
  }

  #onAdvance(): void {
    if (this.log.startOffset !== this.#logStart) this.#onLogStart()
    if (this.log.highWatermark < this.#published) this.#onTruncation()
    if (this.#tail.length === 0) {
      // Whoever is behind reads up to `published`, so it follows even when nobody waits there.
      this.#published = this.log.highWatermark
      return
    }
    if (this.#published < this.log.highWatermark) this.#scheduleFlush()
  }

  #onLogStart(): void {
    this.#logStart = this.log.startOffset
    this.#mark = undefined
    this.#catchUp.forget(this)
    for (const subscription of [...this.#all]) {
      if (subscription.position < this.#logStart) this.end(subscription, ErrorCode.OFFSET_OUT_OF_RANGE)
    }
  }

  /** The log lost its end: whoever has been sent some of it is told from where to cut. */
  #onTruncation(): void {
    const end = this.log.highWatermark
    this.#published = end
    this.#mark = undefined
    this.#catchUp.forget(this)
    for (const subscription of [...this.#all]) {
      if (subscription.position > end) this.end(subscription, ErrorCode.FENCED_LEADER_EPOCH, end)
    }
  }

  #scheduleFlush(): void {
    if (this.#flushTimer) return
    const waitMs = this.#nextFlushAt - this.#clock.monotonic()
    if (waitMs <= 0) return this.#flush()
    this.#flushTimer = this.#clock.setTimer(waitMs, () => this.#flush())
  }

  #flush(): void {
    this.#flushTimer?.cancel()
    this.#flushTimer = undefined
    const startedAt = this.#clock.monotonic()
    while (this.#published < this.log.highWatermark && this.#tail.length > 0) {
      const recent = this.log.recent(this.#published, TAIL_RECORD_BYTES_MAX)
      if (!recent) {
        this.#leaveAllBehind()
        break
      }
      const frame = buildFrame(this.#fields(this.#published, recent.nextOffset), recent.pieces)
      this.#published = recent.nextOffset
      this.#sendToTail(frame)
    }
    if (this.#tail.length === 0) this.#published = this.log.highWatermark
    const endedAt = this.#clock.monotonic()
    const tookMs = endedAt - startedAt
    this.#nextFlushAt = tookMs < CHEAP_FLUSH_MS ? 0 : endedAt + Math.min(FLUSH_INTERVAL_MS_MAX, tookMs * 2)
  }

  #sendToTail(frame: Frame): void {
    const tail = this.#tail
    for (let index = tail.length - 1; index >= 0; index--) {
      const subscription = tail[index]!
      if (canTake(subscription)) {
        this.deliver(subscription, frame)
      } else {
        this.#leaveTail(subscription)
        subscription.place = 'behind'
      }
    }
  }

  /** The batches that the tail needs are no longer in memory: everybody reads them from the log. */
  #leaveAllBehind(): void {
    this.#published = this.log.highWatermark
    for (const subscription of [...this.#tail]) {
      this.#leaveTail(subscription)
      subscription.place = 'behind'
      this.#catchUp.request(subscription)
    }
  }

  #leaveTail(subscription: Subscription): void {
    const { tailIndex } = subscription
    if (tailIndex < 0) return
    const last = this.#tail.pop()!
    if (last !== subscription) {
      this.#tail[tailIndex] = last
      last.tailIndex = tailIndex
    }
    subscription.tailIndex = -1
  }

  #fields(baseOffset: number, nextOffset: number) {
    const { log } = this
    return {
      topicId: this.topicId,
      partition: this.partition,
      leaderEpoch: log.leaderEpoch,
      logStart: log.startOffset,
      highWatermark: log.highWatermark,
      lastStableOffset: log.highWatermark,
      baseOffset,
      nextOffset,
    }
  }
}
