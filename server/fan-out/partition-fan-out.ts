/**
 * All subscribers of one partition, and what has been published to those at its tail.
 *
 * There are two tails (tail.ts): of those who get all records, and of those who get committed ones and stop where a
 * transaction is open; and the same two once more for those who asked for some keys, who are never sent a shared frame: the
 * matching reader looks for what is theirs. What is published never exceeds what they may see. One frame, built once from batches that are
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
import type { CommittedRead, PartitionLog } from '../log/partition-log.ts'
import type { Peer } from '../peer.ts'
import type { CatchUpReader } from './catch-up.ts'
import { buildFrame, type Frame, type FrameFields } from './frame.ts'
import type { MatchingReader } from './matching-reader.ts'
import { canTake, type Subscription } from './subscription.ts'
import { Tail } from './tail.ts'

/** Rows of a replica stay under 64 KiB at the tail; above it Chromium moves a value to a file of its own. */
const TAIL_RECORD_BYTES_MAX = 60 * 1024
const FLUSH_INTERVAL_MS_MAX = 5
/** A round of writes this short is not worth holding anything back for. */
const CHEAP_FLUSH_MS = 0.5
const MATCH_INTERVAL_MS = 20

export interface FanOutParts {
  topicId: string
  partition: number
  log: PartitionLog
  clock: Clock
  catchUp: CatchUpReader
  matching: MatchingReader
}

export class PartitionFanOut {
  readonly topicId: string
  readonly partition: number
  readonly log: PartitionLog
  readonly #clock: Clock
  readonly #catchUp: CatchUpReader
  readonly #matching: MatchingReader
  readonly #stopListening: () => void
  readonly #all = new Set<Subscription>()
  readonly #tails: readonly Tail[]
  #logStart: number
  #nextFlushAt = 0
  #flushTimer: Timer | undefined
  #nextMatchAt = 0
  #matchTimer: Timer | undefined
  #mark: { frame: Frame; highWatermark: number } | undefined
  /** Why the whole fan-out has ended. */
  #closedWith: number | undefined

  constructor({ topicId, partition, log, clock, catchUp, matching }: FanOutParts) {
    this.topicId = topicId
    this.partition = partition
    this.log = log
    this.#clock = clock
    this.#catchUp = catchUp
    this.#matching = matching
    const tail = (isCommitted: boolean, isMatching: boolean) =>
      new Tail({ isCommitted, isMatching }, () => (isCommitted ? log.lastStableOffset : log.highWatermark))
    this.#tails = [tail(false, false), tail(true, false), tail(false, true), tail(true, true)]
    this.#logStart = log.startOffset
    this.#stopListening = log.onAdvance(() => this.#onAdvance())
  }

  get subscriberCount(): number {
    return this.#all.size
  }

  #tailOf({ isCommitted, filter }: Pick<Subscription, 'isCommitted' | 'filter'>): Tail {
    return this.#tails[(isCommitted ? 1 : 0) + (filter ? 2 : 0)]!
  }

  #readerOf({ filter }: Subscription): CatchUpReader | MatchingReader {
    return filter ? this.#matching : this.#catchUp
  }

  add(subscription: Subscription): void {
    // Asked for before the topic was deleted, begun after it.
    if (this.#closedWith !== undefined) return this.end(subscription, this.#closedWith)
    if (this.#all.size === 0) for (const tail of this.#tails) tail.published = tail.end
    this.#all.add(subscription)
    // Begun at an end that those in the tail have not been sent yet: they get it now.
    const tail = this.#tailOf(subscription)
    if (subscription.position > tail.published) tail.isMatching ? this.#match() : this.#flush()
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
      this.#readerOf(subscription).request(subscription)
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
      this.#mark = { frame: buildFrame(this.fields(position, position), []), highWatermark }
    }
    peer.sendFrame(this.#mark.frame)
  }

  /** More credit, or a drained connection: whoever was left behind for the lack of it may go on. */
  resume(subscription: Subscription): void {
    if (subscription.place === 'behind') this.#readerOf(subscription).request(subscription)
  }

  /** Sends `frame` to one subscription, by itself. */
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
    const read = await this.#read(subscription.position, recordBytesMax, published)
    return buildFrame(this.fields(read.baseOffset, read.nextOffset), [read.bytes], read.aborted)
  }

  /** The same for the matching reader, which chooses from it. */
  readSlice({ position, isCommitted }: Pick<Subscription, 'position' | 'isCommitted'>, bytesMax: number) {
    const { published } = this.#tails[isCommitted ? 3 : 2]!
    return this.#read(position, bytesMax, published)
  }

  async #read(offset: number, bytesMax: number, upTo: number): Promise<CommittedRead> {
    if (this.isStable(offset)) return this.log.readCommitted(offset, bytesMax, upTo)
    return { ...(await this.log.read(offset, bytesMax, upTo)), aborted: [] }
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
    this.#matchTimer?.cancel()
    for (const subscription of [...this.#all]) this.end(subscription, errorCode)
  }

  #onAdvance(): void {
    if (this.log.startOffset !== this.#logStart) this.#onLogStart()
    if (this.#tails.some((tail) => tail.end < tail.published)) this.#onTruncation()
    let isDue = false
    let isMatchDue = false
    for (const tail of this.#tails) {
      // Whoever is behind reads up to `published`, so it follows even when nobody waits there.
      if (tail.isEmpty) this.#publishAll(tail)
      else if (tail.published < tail.end && tail.isMatching) isMatchDue = true
      else if (tail.published < tail.end) isDue = true
    }
    if (isDue) this.#scheduleFlush()
    if (isMatchDue) this.#scheduleMatch()
  }

  /** A look at what is new for all who wait for some keys; while it keeps coming, at most each MATCH_INTERVAL_MS. */
  #scheduleMatch(): void {
    const waitMs = this.#nextMatchAt - this.#clock.monotonic()
    if (waitMs <= 0) this.#match()
    else this.#matchTimer ??= this.#clock.setTimer(waitMs, () => this.#match())
  }

  #match(): void {
    this.#matchTimer?.cancel()
    this.#matchTimer = undefined
    this.#nextMatchAt = this.#clock.monotonic() + MATCH_INTERVAL_MS
    for (const tail of this.#tails) if (tail.isMatching && tail.published < tail.end) this.#leaveAllBehind(tail)
  }

  #publishAll(tail: Tail): void {
    tail.published = tail.end
    for (const subscription of tail.takeReached()) this.arrive(subscription)
  }

  #onLogStart(): void {
    this.#logStart = this.log.startOffset
    this.#mark = undefined
    this.#forgetRead()
    for (const subscription of [...this.#all]) {
      if (subscription.position < this.#logStart) this.end(subscription, ErrorCode.OFFSET_OUT_OF_RANGE)
    }
  }

  /** The log lost its end, or the end of a transaction: whoever has been sent some of it is told from where to cut. */
  #onTruncation(): void {
    this.#mark = undefined
    this.#forgetRead()
    for (const tail of this.#tails) tail.published = Math.min(tail.published, tail.end)
    for (const subscription of [...this.#all]) {
      const { end } = this.#tailOf(subscription)
      if (subscription.position > end) this.end(subscription, ErrorCode.FENCED_LEADER_EPOCH, end)
    }
  }

  #forgetRead(): void {
    this.#catchUp.forget(this)
    this.#matching.forget(this)
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
    for (const tail of this.#tails) if (tail.isEmpty && !tail.isMatching) this.#publishAll(tail)
    const endedAt = this.#clock.monotonic()
    const tookMs = endedAt - startedAt
    this.#nextFlushAt = tookMs < CHEAP_FLUSH_MS ? 0 : endedAt + Math.min(FLUSH_INTERVAL_MS_MAX, tookMs * 2)
  }

  #due(): Tail[] {
    return this.#tails.filter((tail) => !tail.isMatching && !tail.isEmpty && tail.published < tail.end)
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
      return held && buildFrame(this.fields(offset, held.nextOffset), held.pieces, held.aborted)
    }
    const held = this.log.recent(offset, TAIL_RECORD_BYTES_MAX)
    return held && buildFrame(this.fields(offset, held.nextOffset), held.pieces)
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
    for (const subscription of left) this.#readerOf(subscription).request(subscription)
  }

  fields(baseOffset: number, nextOffset: number): FrameFields {
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
