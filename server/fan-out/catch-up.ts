/**
 * Reads frames from the log for subscriptions that are behind its tail, however far.
 *
 * Bounds: READS_AT_ONCE frames are being read at a time; a subscription is in the queue at most once and has at most one
 * frame on its way. Turns are taken, so one long catch-up does not hold up another. Frames just read are kept for a
 * moment (FRAME_CACHE_BYTES_MAX in all): after a restart a thousand replicas ask for the same ones.
 */
import { ErrorCode, KafkaError } from '../../protocol/errors.ts'
import type { Clock } from '../../protocol/lib/clock.ts'
import type { Frame } from './frame.ts'
import type { PartitionFanOut } from './partition-fan-out.ts'
import { CATCH_UP_BYTES_MIN, canTake, type Subscription } from './subscription.ts'

const READS_AT_ONCE = 8
const FRAME_RECORD_BYTES_MAX = 512 * 1024
/** A peer that is ready for the next frame within this time gets larger ones. */
const QUICK_MS = 250
const FRAME_CACHE_BYTES_MAX = 16 * 1024 * 1024

export class CatchUpReader {
  readonly #clock: Clock
  readonly #queue: Subscription[] = []
  readonly #cache = new FrameCache()
  #reads = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  request(subscription: Subscription): void {
    if (subscription.isQueued || subscription.place !== 'behind' || !canTake(subscription)) return
    subscription.isQueued = true
    this.#queue.push(subscription)
    this.#pump()
  }

  /** Drops what is cached of a partition whose log has changed under it. */
  forget(fanOut: PartitionFanOut): void {
    this.#cache.forget(fanOut)
  }

  #pump(): void {
    while (this.#reads < READS_AT_ONCE && this.#queue.length > 0) {
      const subscription = this.#queue.shift()!
      subscription.isQueued = false
      if (subscription.place !== 'behind' || !canTake(subscription)) continue
      subscription.place = 'reading'
      this.#reads++
      void this.#serve(subscription)
    }
  }

  async #serve(subscription: Subscription): Promise<void> {
    const { fanOut } = subscription
    try {
      const frame = await this.#frameFor(subscription)
      // Ended while the read was under way.
      if (subscription.place !== 'reading') return
      this.#adaptFrameSize(subscription)
      fanOut.deliver(subscription, frame)
      fanOut.arrive(subscription)
    } catch (error) {
      if (subscription.place !== 'reading') return
      fanOut.end(subscription, error instanceof KafkaError ? error.code : ErrorCode.UNKNOWN_SERVER_ERROR)
    } finally {
      this.#reads--
      this.#pump()
    }
  }

  #frameFor(subscription: Subscription): Promise<Frame> {
    const { credit, frameBytesMax } = subscription
    const recordBytesMax = credit >= frameBytesMax ? frameBytesMax : CATCH_UP_BYTES_MIN
    return this.#cache.get(subscription, recordBytesMax)
  }

  /** Sizes are few, so that peers at one offset share frames. */
  #adaptFrameSize(subscription: Subscription): void {
    const now = this.#clock.monotonic()
    const isQuick = now - subscription.caughtUpAt < QUICK_MS
    subscription.caughtUpAt = now
    const larger = Math.min(FRAME_RECORD_BYTES_MAX, subscription.frameBytesMax * 2)
    subscription.frameBytesMax = isQuick ? larger : CATCH_UP_BYTES_MIN
  }
}

interface CachedFrame {
  fanOut: PartitionFanOut
  frame: Promise<Frame>
  /** 0 while it is being read. */
  sizeBytes: number
}

/** Least recently used goes first; a Map keeps the order. */
class FrameCache {
  readonly #frames = new Map<string, CachedFrame>()
  #sizeBytes = 0

  get(subscription: Subscription, recordBytesMax: number): Promise<Frame> {
    const { fanOut, position } = subscription
    const kind = fanOut.isStable(position) ? 'decided' : 'open'
    const key = `${fanOut.topicId}/${fanOut.partition}/${position}/${recordBytesMax}/${kind}`
    const found = this.#frames.get(key)
    if (found) {
      this.#frames.delete(key)
      this.#frames.set(key, found)
      return found.frame
    }
    const entry: CachedFrame = { fanOut, frame: fanOut.readFrame(subscription, recordBytesMax), sizeBytes: 0 }
    this.#frames.set(key, entry)
    entry.frame.then(
      (frame) => this.#settle(key, entry, frame, recordBytesMax),
      () => this.#drop(key, entry),
    )
    return entry.frame
  }

  forget(fanOut: PartitionFanOut): void {
    for (const [key, entry] of this.#frames) if (entry.fanOut === fanOut) this.#drop(key, entry)
  }

  /** A frame at the end of the log is not kept: it would grow, and what it says of the end would be old. */
  #settle(key: string, entry: CachedFrame, frame: Frame, recordBytesMax: number): void {
    if (this.#frames.get(key) !== entry) return
    if (frame.saysEnd || frame.recordBytes < recordBytesMax / 2) return this.#drop(key, entry)
    entry.sizeBytes = frame.bytes.length
    this.#sizeBytes += entry.sizeBytes
    for (const [oldKey, old] of this.#frames) {
      if (this.#sizeBytes <= FRAME_CACHE_BYTES_MAX) return
      if (old !== entry && old.sizeBytes > 0) this.#drop(oldKey, old)
    }
  }

  #drop(key: string, entry: CachedFrame): void {
    if (this.#frames.get(key) !== entry) return
    this.#frames.delete(key)
    this.#sizeBytes -= entry.sizeBytes
  }
}
