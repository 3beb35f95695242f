/**
 * All subscribers of one partition, and what has been published to those at its tail.
 *
 * There are two tails (tail.ts): of those who get all records, and of those who get committed ones and stop where a
 * transaction is open. What is published never exceeds what they may see. One frame, built once from batches that are
 * still in memory, serves all who stand at its offset, in either tail: no frame reaches across the last stable offset,
 * and each below it names the aborted transactions in it, for whoever leaves them out.
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
import type { Peer } from '../peer.ts'
import type { CatchUpReader } from './catch-up.ts'
import { buildFrame, type Frame } from './frame.ts'
import { canTake, type Subscription } from './subscription.ts'
import { Tail } from './tail.ts'

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
  readonly #tails: readonly Tail[]
  #logStart: number
  #nextFlushAt = 0
  #flushTimer: Timer | undefined
  #mark: { frame: Frame; highWatermark: number } | undefined
  /** Why the whole fan-out has ended. */
  #closedWith: number | undefined

  constructor(topicId: string, partition: number, log: PartitionLog, clock: Clock, catchUp: CatchUpReader) {
    this.topicId = topicId
    this.partition = partition
    this.log = log
    this.#clock = clock
    this.#catchUp = catchUp
    this.#tails = [new Tail(false, () => log.highWatermark), new Tail(true, () => log.lastStableOffset)]
    this.#logStart = log.startOffset
    this.#stopListening = log.onAdvance(() => this.#onAdvance())
  }

  get subscriberCount(): number {
    return this.#all.size
  }

  #tailOf({ isCommitted }: { isCommitted: boolean }): Tail {
    return this.#tails[isCommitted ? 1 : 0]!
  }

  add(subscription: Subscription): void {
    // Asked for before the topic was deleted, begun after it.
    if (this.#closedWith !== undefined) return this.end(subscription, this.#closedWith)
    if (this.#all.size === 0) for (const tail of this.#tails) tail.published = tail.end
    this.#all.add(subscription)
    // Begun at an end that those in the tail have not been sent yet: they get it now.
    const tail = this.#tailOf(subscription)
    if (subscription.position > tail.published) this.#flush()
    this.arrive(subscription)
    if (subscription.position >= tail.end && subscription.place !== 'ended') this.#sendMark(subscription)
  }

  remove(subscription: Subscription): void {
    this.#tailOf(subscription).leave(subscription)
    subscription.place = 'ended'
    this.#all.delete(subscription)
  }

  /** Puts a subscription where its position says: into its tail, behind or ahead of it. */
  arrive(subscription: Subscription): void {
    const tail = this.#tailOf(subscription)
    if (subscription.position < tail.published) {
      subscription.place = 'behind'
      this.#catchUp.request(subscription)
      return
    }
    // A damaged log that has been read to its end has no tail: there was more.
    const code = damageCode(this.log, subscription.position, subscription.isCommitted)
    if (code !== ErrorCode.NONE && this.#closedWith === undefined) return this.end(subscription, code)
    if (subscription.position > tail.published) tail.addAhead(subscription)
    else tail.add(subscription)
  }

  /** Tells a subscription that has just begun at the end that there is nothing it lacks. */
  #sendMark(subscription: Subscription): void {
    const { position, peer } = subscription
    const { highWatermark } = this.log
    if (this.#mark?.frame.nextOffset !== position || this.#mark.highWatermark !== highWatermark) {
      this.#mark = { frame: buildFrame(this.#fields(position, position), []), highWatermark }
    }
    peer.sendFrame(this.#mark.frame)
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

  /** Whether all is decided there. Frames from above are for those who get all records, and name no aborted ones. */
  isStable(offset: number): boolean {
    return offset < this.log.lastStableOffset
  }

  /** A frame of at most `recordBytesMax` from a subscription's position on, read from the log, up to what is published. */
  async readFrame(subscription: Subscription, recordBytesMax: number): Promise<Frame> {
    const { published } = this.#tailOf(subscription)
    const offset = subscription.position
    if (this.isStable(offset)) {
      const read = await this.log.readCommitted(offset, recordBytesMax, published)
      return buildFrame(this.#fields(read.baseOffset, read.nextOffset), [read.bytes], read.aborted)
    }
    const read = await this.log.read(offset, recordBytesMax, published)
    return buildFrame(this.#fields(read.baseOffset, read.nextOffset), [read.bytes])
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

  endWhere(mayNot: (peer: Peer) => boolean, errorCode: number): void {
    for (const subscription of [...this.#all]) if (mayNot(subscription.peer)) this.end(subscription, errorCode)
  }

  close(errorCode: number): void {
    this.#closedWith = errorCode
    this.#stopListening()
    this.#flushTimer?.cancel()
    for (const subscription of [...this.#all]) this.end(subscription, errorCode)
  }

  #onAdvance(): void {
    if (this.log.startOffset !== this.#logStart) this.#onLogStart()
    if (this.#tails.some((tail) => tail.end < tail.published)) this.#onTruncation()
    let isDue = false
    for (const tail of this.#tails) {
      // Whoever is behind reads up to `published`, so it follows even when nobody waits there.
      if (tail.isEmpty) this.#publishAll(tail)
      else if (tail.published < tail.end) isDue = true
    }
    if (isDue) this.#scheduleFlush()
  }

  #publishAll(tail: Tail): void {
    tail.published = tail.end
    for (const subscription of tail.takeReached()) this.arrive(subscription)
  }

  #onLogStart(): void {
    this.#logStart = this.log.startOffset
    this.#mark = undefined
    this.#catchUp.forget(this)
    for (const subscription of [...this.#all]) {
      if (subscription.position < this.#logStart) this.end(subscription, ErrorCode.OFFSET_OUT_OF_RANGE)
    }
  }

  /** The log lost its end, or the end of a transaction: whoever has been sent some of it is told from where to cut. */
  #onTruncation(): void {
    this.#mark = undefined
    this.#catchUp.forget(this)
    for (const tail of this.#tails) tail.published = Math.min(tail.published, tail.end)
    for (const subscription of [...this.#all]) {
      const { end } = this.#tailOf(subscription)
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
    for (let due = this.#due(); due.length > 0; due = this.#due()) this.#flushFrame(due)
    for (const tail of this.#tails) if (tail.isEmpty) this.#publishAll(tail)
    const endedAt = this.#clock.monotonic()
    const tookMs = endedAt - startedAt
    this.#nextFlushAt = tookMs < CHEAP_FLUSH_MS ? 0 : endedAt + Math.min(FLUSH_INTERVAL_MS_MAX, tookMs * 2)
  }

  #due(): Tail[] {
    return this.#tails.filter((tail) => !tail.isEmpty && tail.published < tail.end)
  }

  /** The next frame for the tail that stands furthest back, and for the other if it stands there too. */
  #flushFrame(due: readonly Tail[]): void {
    const offset = Math.min(...due.map((tail) => tail.published))
    const frame = this.#frameFromMemory(offset)
    for (const tail of due) {
      if (tail.published !== offset) continue
      if (frame) this.#sendToTail(tail, frame)
      else this.#leaveAllBehind(tail)
    }
  }

  #frameFromMemory(offset: number): Frame | undefined {
    if (this.isStable(offset)) {
      const held = this.log.recentCommitted(offset, TAIL_RECORD_BYTES_MAX)
      return held && buildFrame(this.#fields(offset, held.nextOffset), held.pieces, held.aborted)
    }
    const held = this.log.recent(offset, TAIL_RECORD_BYTES_MAX)
    return held && buildFrame(this.#fields(offset, held.nextOffset), held.pieces)
  }

  #sendToTail(tail: Tail, frame: Frame): void {
    tail.published = frame.nextOffset
    const { members } = tail
    for (let index = members.length - 1; index >= 0; index--) {
      const subscription = members[index]!
      if (canTake(subscription)) {
        this.deliver(subscription, frame)
      } else {
        tail.leave(subscription)
        subscription.place = 'behind'
      }
    }
    for (const subscription of tail.takeReached()) this.arrive(subscription)
  }

  /** The batches that a tail needs are no longer in memory: everybody reads them from the log. */
  #leaveAllBehind(tail: Tail): void {
    const left = [...tail.members]
    for (const subscription of left) {
      tail.leave(subscription)
      subscription.place = 'behind'
    }
    this.#publishAll(tail)
    for (const subscription of left) this.#catchUp.request(subscription)
  }

  #fields(baseOffset: number, nextOffset: number) {
    const { log } = this
    return {
      topicId: this.topicId,
      partition: this.partition,
      leaderEpoch: log.leaderEpoch,
      logStart: log.startOffset,
      highWatermark: log.highWatermark,
      lastStableOffset: log.lastStableOffset,
      baseOffset,
      nextOffset,
    }
  }
}
