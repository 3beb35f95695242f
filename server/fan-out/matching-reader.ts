/**
 * Serves subscriptions that asked for some keys only: reads the log for them, sends the batches that hold any of these keys,
 * whole and as they are, and says which offsets it has left out (`DeliverMatching`).
 *
 * Bounds: one slice is looked at at a time, for one subscription; turns are taken, and after SLICE_MS of work the event loop
 * belongs to others for three times as long. What was found in a slice is kept for a moment (CACHE_BYTES_MAX), so that a
 * thousand who wait at the end of a log cost one look at what is new. A subscription has one frame on its way at most.
 *
 * That nothing matched is told at once after a quiet time, else DECLARE_EVERY_MS after the last frame: who waits for one key
 * in a busy log is not woken by all the others.
 */
import { standardCodecs } from '../../protocol/codecs/standard.ts'
import { ErrorCode, KafkaError } from '../../protocol/errors.ts'
import { type Clock, sleep, type Timer } from '../../protocol/lib/clock.ts'
import type { AbortedTransaction, SkippedRange } from '../../protocol/messages/offset-protocol.ts'
import { isTransactional, nextOffsetOf } from '../../protocol/record-batch.ts'
import { type KeyedBatch, type KeyedSlice, keysInSlice } from './batch-keys.ts'
import { buildMatchingFrame } from './frame.ts'
import type { PartitionFanOut } from './partition-fan-out.ts'
import { CATCH_UP_BYTES_MIN, canTake, type Subscription } from './subscription.ts'

const SLICE_BYTES = 256 * 1024
const SLICE_MS = 4
const REST_SHARE = 3
const CACHE_BYTES_MAX = 16 * 1024 * 1024
const DECLARE_EVERY_MS = 1_000

interface CachedSlice extends KeyedSlice {
  fanOut: PartitionFanOut
  aborted: readonly AbortedTransaction[]
}

export class MatchingReader {
  readonly #clock: Clock
  readonly #codecs = standardCodecs()
  readonly #queue: Subscription[] = []
  readonly #cache = new Map<string, CachedSlice>()
  #cacheBytes = 0
  /** How often a log has changed under what was read of it. */
  #changes = 0
  #isRunning = false
  #workingSince = 0
  /** At the end of their logs, and not told yet that nothing matched up to there. */
  readonly #undeclared = new Set<Subscription>()
  #declareTimer: Timer | undefined

  constructor(clock: Clock) {
    this.#clock = clock
  }

  request(subscription: Subscription): void {
    if (subscription.isQueued || subscription.place !== 'behind' || !canTake(subscription)) return
    subscription.isQueued = true
    this.#queue.push(subscription)
    if (!this.#isRunning) void this.#run()
  }

  /** Drops what is cached of a partition whose log has changed under it. */
  forget(fanOut: PartitionFanOut): void {
    this.#changes++
    for (const [key, slice] of this.#cache) if (slice.fanOut === fanOut) this.#drop(key, slice)
  }

  async #run(): Promise<void> {
    this.#isRunning = true
    this.#workingSince = this.#clock.monotonic()
    for (let next = this.#queue.shift(); next; next = this.#queue.shift()) {
      next.isQueued = false
      if (next.place !== 'behind' || !canTake(next)) continue
      next.place = 'reading'
      await this.#serve(next)
      await this.#breathe()
    }
    this.#isRunning = false
  }

  #breathe(): Promise<void> | undefined {
    const workedMs = this.#clock.monotonic() - this.#workingSince
    if (workedMs < SLICE_MS) return undefined
    return sleep(this.#clock, workedMs * REST_SHARE).then(() => {
      this.#workingSince = this.#clock.monotonic()
    })
  }

  async #serve(subscription: Subscription): Promise<void> {
    const { fanOut } = subscription
    try {
      const slice = await this.#slice(subscription)
      // Ended while the log was read.
      if (subscription.place !== 'reading') return
      if (slice) this.#take(subscription, slice)
      fanOut.arrive(subscription)
    } catch (error) {
      if (subscription.place !== 'reading') return
      fanOut.end(subscription, error instanceof KafkaError ? error.code : ErrorCode.UNKNOWN_SERVER_ERROR)
    }
  }

  /** undefined: what was read is the log's no more, and must be read again. */
  async #slice({ fanOut, position, isCommitted, credit }: Subscription): Promise<CachedSlice | undefined> {
    const sliceBytes = credit >= SLICE_BYTES ? SLICE_BYTES : CATCH_UP_BYTES_MIN
    const kind = fanOut.isStable(position) ? 'decided' : 'open'
    const key = `${fanOut.topicId}/${fanOut.partition}/${position}/${sliceBytes}/${kind}`
    const found = this.#cache.get(key)
    if (found) return found
    const changes = this.#changes
    const read = await fanOut.readSlice({ position, isCommitted }, sliceBytes)
    // Waiting for the disk is no work.
    this.#workingSince = this.#clock.monotonic()
    const keyed = await keysInSlice(read, this.#codecs, () => this.#breathe())
    if (changes !== this.#changes) return undefined
    const slice = { ...keyed, fanOut, aborted: read.aborted }
    this.#keep(key, slice)
    return slice
  }

  #take(subscription: Subscription, slice: CachedSlice): void {
    const filter = subscription.filter!
    const matching = slice.batches.filter(({ keys }) => keys === null || filter.matchesAny(keys))
    const last = slice.batches.at(-1)
    if (last) subscription.scannedEpoch = last.header.leaderEpoch
    const upTo = Math.max(slice.nextOffset, subscription.position)
    if (matching.length > 0) return this.#send(subscription, upTo, matching, abortedIn(matching, slice.aborted))
    subscription.position = upTo
    if (this.#clock.monotonic() - subscription.caughtUpAt >= DECLARE_EVERY_MS) this.#send(subscription, upTo)
    else this.#declareLater(subscription)
  }

  #send(
    subscription: Subscription,
    upTo: number,
    batches: readonly KeyedBatch[] = [],
    aborted: readonly AbortedTransaction[] = [],
  ): void {
    const { fanOut, told, scannedEpoch } = subscription
    this.#undeclared.delete(subscription)
    const skipped = between(told, upTo, batches)
    const bytes = batches.map((batch) => batch.bytes)
    const fields = { ...fanOut.fields(told, upTo), aborted, lastEpoch: scannedEpoch, skipped }
    subscription.caughtUpAt = this.#clock.monotonic()
    subscription.told = upTo
    fanOut.deliver(subscription, buildMatchingFrame(fields, bytes))
  }

  #declareLater(subscription: Subscription): void {
    this.#undeclared.add(subscription)
    this.#declareTimer ??= this.#clock.setTimer(DECLARE_EVERY_MS, () => this.#declareAll())
  }

  #declareAll(): void {
    this.#declareTimer = undefined
    const waiting = [...this.#undeclared]
    this.#undeclared.clear()
    for (const subscription of waiting) {
      const { place, told, position } = subscription
      // Whoever cannot take anything now is told with what it takes next.
      if (place !== 'ended' && told < position && canTake(subscription)) this.#send(subscription, position)
    }
  }

  #keep(key: string, slice: CachedSlice): void {
    this.#cache.set(key, slice)
    this.#cacheBytes += slice.sizeBytes
    for (const [oldKey, old] of this.#cache) {
      if (this.#cacheBytes <= CACHE_BYTES_MAX) return
      this.#drop(oldKey, old)
    }
  }

  #drop(key: string, slice: CachedSlice): void {
    if (this.#cache.delete(key)) this.#cacheBytes -= slice.sizeBytes
  }
}

/** What of [from, to) lies in none of the batches. */
function between(from: number, to: number, batches: readonly KeyedBatch[]): SkippedRange[] {
  const ranges: SkippedRange[] = []
  let at = from
  for (const { header } of batches) {
    if (header.baseOffset > at) ranges.push({ from: at, to: header.baseOffset })
    at = nextOffsetOf(header)
  }
  if (at < to) ranges.push({ from: at, to })
  return ranges
}

/** Those whose producers have batches here. */
function abortedIn(
  batches: readonly KeyedBatch[],
  aborted: readonly AbortedTransaction[],
): readonly AbortedTransaction[] {
  if (aborted.length === 0) return aborted
  const producers = new Set<number>()
  for (const { header } of batches) if (isTransactional(header)) producers.add(header.producerId)
  return aborted.filter(({ producerId }) => producers.has(producerId))
}
