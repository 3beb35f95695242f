/**
 * One partition from the replica: reads a stretch ahead of the application and follows what is stored.
 *
 * A row may hold thousands of records, and all of a frame are decoded together. So rows are given out in pieces, and the
 * first read asks for one row: the first record waits for one row and one piece.
 *
 * Invariants: one read at a time, and at most one more that a seek has overtaken; what a read brings is thrown away when the
 * position was moved meanwhile. A change of generation takes the position back to where the replica was cut, and that is said.
 */
import type { AbortedTransaction } from '../../protocol/messages/offset-protocol.ts'
import { BATCH_HEADER_BYTES, batchSizeAt, nextOffsetAt, viewOf } from '../../protocol/record-batch.ts'
import type { Core, ReplicaRange, StoredChunk } from '../core.ts'
import { asOttlaError, OttlaError } from '../errors.ts'
import type { Gap } from '../record.ts'
import { type ChosenKeys, seen } from './chosen-keys.ts'
import { mayHearMore } from './may-hear-more.ts'
import { type Feed, type FeedEvents, type FeedOptions, type Frame, START } from './source.ts'

/** Read at a time once the first row is there; the next stretch is fetched while this one is given out. */
const READ_BYTES = 256 * 1024
/** A frame is as few batches as make this. */
const FRAME_BYTES = 16 * 1024
/** The next stretch is asked for when so few frames are left. */
const FRAMES_AHEAD = 16

export interface ReplicaFeedParts {
  core: Core
  chosen: ChosenKeys
  /** As `seen` shows it. */
  range: ReplicaRange
}

export class ReplicaFeed implements Feed {
  readonly partition: number
  readonly #core: Core
  readonly #chosen: ChosenKeys
  readonly #options: FeedOptions
  readonly #events: FeedEvents
  readonly #unlisten: Array<() => void>
  #range: ReplicaRange
  /** START or END until the replica knows what they stand for. */
  #position: number
  #isExact: boolean
  #queue: Frame[] = []
  #gap: Gap | undefined
  #isReading = false
  #hasRead = false
  /** Under way, overtaken ones too. */
  #reads = 0
  /** How often was taken from here on. Who seeks may want no more than the record there: only the second has more fetched. */
  #takes = 0
  /** Grows when queued and requested chunks lose their meaning. */
  #epoch = 0
  #isClosed = false

  constructor({ core, chosen, range }: ReplicaFeedParts, options: FeedOptions, events: FeedEvents) {
    this.partition = range.partition
    this.#core = core
    this.#chosen = chosen
    this.#range = range
    this.#options = options
    this.#events = events
    this.#position = options.from
    this.#isExact = options.isExact
    this.#unlisten = [
      core.onAdvanced((all) => {
        for (const advanced of all) this.#advanced(seen(chosen, advanced))
      }),
      core.onStatus(({ state }) => {
        this.#look()
        if (state === 'closed') this.#lookIfEnded()
      }),
    ]
    queueMicrotask(() => this.#look())
  }

  get isUpToDate(): boolean {
    if (this.#queue.length > 0 || this.#isReading || this.#position < this.#range.end) return false
    return this.#range.upToDate || !mayHearMore(this.#core)
  }

  take(): Frame | undefined {
    const frame = this.#queue.shift()
    if (frame || this.#takes > 0) this.#takes++
    if (this.#queue.length === 0) this.#look()
    else this.#readAhead()
    return frame
  }

  seek(offset: number): void {
    this.#moveTo(offset)
    this.#isExact = offset >= 0
    this.#gap = undefined
    this.#look()
  }

  close(): void {
    this.#isClosed = true
    this.#epoch++
    this.#queue = []
    for (const unlisten of this.#unlisten) unlisten()
  }

  #moveTo(offset: number): void {
    this.#position = offset
    this.#queue = []
    this.#takes = 0
    this.#forgetReads()
  }

  /** What is under way may not know what the replica holds now. */
  #forgetReads(): void {
    this.#epoch++
    this.#hasRead = this.#isReading = false
  }

  #advanced(range: ReplicaRange): void {
    if (range.topic !== this.#range.topic || range.partition !== this.partition || this.#isClosed) return
    if (range.topicId !== this.#range.topicId) {
      return this.#fail(new OttlaError('TOPIC_RECREATED', { message: `${range.topic} was deleted and made anew` }))
    }
    const wasGeneration = this.#range.generation
    this.#range = range
    if (range.generation !== wasGeneration) this.#cut(range.cutAt ?? range.start)
    // A first read that found nothing, as all was about to be fetched again, was none.
    if (this.#queue.length === 0) this.#hasRead = this.#isReading
    this.#look()
  }

  #cut(cutAt: number): void {
    const reached = this.#position
    if (reached <= cutAt) return this.#forgetReads()
    const lost = this.#queue.find((frame) => frame.nextOffset > cutAt)
    if (this.#options.onMissingOffset === 'fail') {
      return this.#fail(new OttlaError('LOG_TRUNCATED', { message: `${this.#name} was cut at offset ${cutAt}` }))
    }
    const to = Math.min(cutAt, lost?.fromOffset ?? cutAt)
    const kept = this.#queue.filter((frame) => frame.nextOffset <= cutAt)
    this.#moveTo(to)
    this.#queue = kept
    this.#tellGap({ partition: this.partition, from: reached, to, reason: 'truncated' })
  }

  /** Reads on if there is something and nobody reads yet; tells the reader how things stand. */
  #look(): void {
    if (this.#isClosed) return
    this.#resolvePosition()
    if (this.#position >= 0 && this.#position < this.#range.start && this.#range.end > 0) this.#skipMissing()
    this.#readAhead()
    this.#events.onReady()
  }

  /** A client that has ended refuses reads and says why. One that the relay has refused can still read what it holds. */
  #lookIfEnded(): void {
    const { topicId, end } = this.#range
    this.#core
      .readReplica(topicId, this.partition, end, 1)
      .catch((thrown) => this.#fail(asOttlaError(thrown, 'CLOSED')))
  }

  #readAhead(): void {
    const isEnough = this.#hasRead && (this.#takes < 2 || this.#queue.length > FRAMES_AHEAD)
    if (this.#isClosed || this.#isReading || this.#reads > 1 || isEnough) return
    if (this.#position >= 0 && this.#position < this.#range.end) void this.#read()
  }

  /** What "the start" and "the end" are is known once the relay has spoken, or when it cannot be reached. */
  #resolvePosition(): void {
    if (this.#position >= 0) return
    const { start, end, relayEnd, upToDate } = this.#range
    const isFromStart = this.#position === START
    const isKnown = upToDate || relayEnd >= 0 || !mayHearMore(this.#core)
    if (!isKnown && !(isFromStart && end > start)) return
    this.#position = isFromStart ? start : Math.max(end, relayEnd)
    this.#events.onStart(this.partition, this.#position)
  }

  #skipMissing(): void {
    const { start, end } = this.#range
    const from = this.#position
    if (this.#options.onMissingOffset === 'fail' && this.#isExact) {
      const message = `offset ${from} of ${this.#name} is gone; the replica begins at ${start}`
      return this.#fail(new OttlaError('OFFSET_OUT_OF_RANGE', { message }))
    }
    const to = this.#options.onMissingOffset === 'latest' && this.#isExact ? end : start
    this.#moveTo(to)
    if (this.#isExact) this.#tellGap({ partition: this.partition, from, to, reason: 'deleted' })
  }

  #tellGap(gap: Gap): void {
    this.#gap = gap
    this.#events.onGap(gap)
  }

  async #read(): Promise<void> {
    this.#isReading = true
    this.#reads++
    const epoch = this.#epoch
    let progress = false
    try {
      const { topicId } = this.#range
      const sizeBytes = this.#takes > 1 ? READ_BYTES : 1
      this.#hasRead = true
      const chunks = await this.#core.readReplica(topicId, this.partition, this.#position, sizeBytes)
      if (epoch === this.#epoch) for (const chunk of chunks) progress = this.#push(chunk) || progress
      progress ||= epoch !== this.#epoch
    } catch (thrown) {
      this.#fail(asOttlaError(thrown, 'STORAGE_FAILED'))
    } finally {
      this.#reads--
      if (epoch === this.#epoch) this.#isReading = false
    }
    // Nothing where the range says there is something: the range is about to change, and that will be told.
    if (progress) this.#look()
    else this.#events.onReady()
  }

  /** What lies below the position is left out in whole batches, the rest given out in frames. */
  #push({ nextOffset, batches, aborted = [] }: StoredChunk): boolean {
    if (nextOffset <= this.#position) return false
    const view = viewOf(batches)
    let from = 0
    for (let at = 0; batches.length - at >= BATCH_HEADER_BYTES; ) {
      const end = at + Math.max(BATCH_HEADER_BYTES, batchSizeAt(view, at))
      if (end >= batches.length) break
      const reached = nextOffsetAt(view, at)
      if (reached <= this.#position && from === at) from = end
      else if (end - from >= FRAME_BYTES && reached < nextOffset) {
        this.#pushFrame(batches.subarray(from, end), reached, aborted)
        from = end
      }
      at = end
    }
    this.#pushFrame(batches.subarray(from), nextOffset, aborted)
    this.#isExact = true
    return true
  }

  #pushFrame(batches: Uint8Array, nextOffset: number, abortedInRow: readonly AbortedTransaction[]): void {
    const { partition } = this
    const fromOffset = this.#position
    const aborted = this.#options.isolation === 1 ? abortedInRow : []
    this.#queue.push({
      partition,
      batches,
      fromOffset,
      nextOffset,
      aborted,
      matches: this.#chosen.matches,
      gap: this.#gap,
      release: () => {},
    })
    this.#gap = undefined
    this.#position = nextOffset
  }

  #fail(error: unknown): void {
    if (this.#isClosed) return
    this.close()
    this.#events.onFailed(error)
  }

  get #name(): string {
    return `${this.#range.topic}-${this.partition}`
  }
}
