/**
 * One partition in this member's hands: what comes of it, how far that was worked on, how far it is committed.
 *
 *     starting ──open──> reading ──retire──> (what is under way is finished) ──end──> over
 *                                    lost: straight to over
 *
 * Invariants: `processedTo` never passes what was handed out and finished, and offsets without records in front of it are
 * part of it; nothing is handed out once it is retiring; `over` aborts when the partition is no longer this member's.
 */
import type { CodecRegistry } from '../../protocol/compression.ts'
import type { RawRecord } from '../../protocol/records.ts'
import { decodePieces } from '../consumer/decode-frame.ts'
import { LiveFeed } from '../consumer/live-feed.ts'
import type { FeedOptions, Frame } from '../consumer/source.ts'
import type { TopicInfo } from '../core.ts'
import type { Gap } from '../record.ts'
import type { Session } from '../session.ts'
import { EpochTrail } from './epoch-trail.ts'
import type { TopicPartition } from './topic-partition.ts'

export interface OpenOptions extends Pick<FeedOptions, 'onMissingOffset' | 'isolation' | 'bufferBytesMax'> {
  session: Session
  topic: TopicInfo
  offset: number
  /** Of the record before `offset`; -1 when not known. */
  leaderEpoch: number
  codecs: CodecRegistry
  onGap(gap: Gap): void
  onFailed(error: unknown): void
}

/** Records that came together, in order. */
export interface Piece {
  readonly records: readonly RawRecord[]
  /** What is missing in front of them. */
  readonly gap: Gap | undefined
  /** The reading that they belong to; after a seek, or when the log was cut, they count no more. */
  readonly reading: number
}

/** A record that its handler could not do, and what is being done about it. */
export interface Failing {
  offset: number
  attempts: number
  error: unknown
  /** Wall clock; null: it waits for `resume`. */
  retryAtMs: number | null
}

/** Handed out at a time: enough to make turns cheap, few enough to give others theirs. */
const PIECE_RECORDS = 64

export class AssignedPartition implements TopicPartition {
  readonly topic: string
  readonly partition: number
  /** Of the topic that is read; known from the start where the group divides topics by their ids. */
  topicId: string
  /** The group means the topic of this id alone: one that is made anew under its name is not this partition's. */
  readonly isOfId: boolean
  /** The offset after what was finished; -1 while the start is not known. */
  processedTo = -1
  /** The offset that is to be committed; behind `processedTo` where the application says when. */
  commitTo = -1
  committedTo = -1
  /** The offset after what was handed out. */
  handedTo = -1
  failing: Failing | undefined
  isPaused = false
  readonly #onProgress: (partition: AssignedPartition) => void
  readonly #halted = new AbortController()
  readonly #over = new AbortController()
  #left = new AbortController()
  #feed: LiveFeed | undefined
  #epochs = new EpochTrail(0, -1)
  #codecs: CodecRegistry | undefined
  #current: { frame: Frame; pieces: AsyncGenerator<RawRecord[], undefined>; gap: Gap | undefined } | undefined
  /** Decoded and not taken, as the partition was paused meanwhile. */
  #kept: Piece | undefined
  #reading = 0
  #isBusy = false
  #wakes = 0
  #tellWoken: () => void = () => {}
  #idle: Array<() => void> = []

  /** `onProgress` is told when `processedTo` has moved. */
  constructor(
    { topic, partition, topicId }: TopicPartition & { topicId?: string },
    onProgress: (partition: AssignedPartition) => void,
  ) {
    this.topic = topic
    this.partition = partition
    this.topicId = topicId ?? ''
    this.isOfId = topicId !== undefined
    this.#onProgress = onProgress
  }

  /** Aborts when the partition is no longer this member's. */
  get signal(): AbortSignal {
    return this.#over.signal
  }

  get isOver(): boolean {
    return this.#over.signal.aborted
  }

  /** Aborts when nothing more is to be handed out: it is retiring, or over. */
  get halted(): AbortSignal {
    return this.#halted.signal
  }

  get isHalted(): boolean {
    return this.#halted.signal.aborted
  }

  /** Aborts when a record that was handed out is not to be tried again: nothing more is, or reading goes on elsewhere. */
  get left(): AbortSignal {
    return this.#left.signal
  }

  get isOpen(): boolean {
    return this.#feed !== undefined
  }

  /** Where the log ends, as last heard; -1 before. */
  get endOffset(): number {
    return this.#feed?.endOffset ?? -1
  }

  /** Of the record before `commitTo`. */
  get commitEpoch(): number {
    return this.#epochs.before(this.commitTo)
  }

  /** Of the record before `offset`, which was handed out and is not committed yet. */
  epochBefore(offset: number): number {
    return this.#epochs.before(offset)
  }

  open(options: OpenOptions): void {
    const { session, topic, offset, leaderEpoch, codecs, onFailed } = options
    const { onMissingOffset, isolation, bufferBytesMax } = options
    this.#codecs = codecs
    this.#epochs = new EpochTrail(offset, leaderEpoch)
    this.processedTo = this.commitTo = this.handedTo = offset
    const onGap = (gap: Gap) => {
      if (gap.reason === 'truncated') this.#cutTo(gap.to)
      options.onGap(gap)
    }
    this.#feed = new LiveFeed(
      session,
      topic,
      this.partition,
      { from: offset, leaderEpoch, isExact: true, onMissingOffset, isolation, bufferBytesMax },
      { onStart: () => {}, onReady: () => this.#wake(), onGap, onFailed },
    )
    this.#wake()
  }

  /** The next records as soon as there are some. Undefined when this member is to read no further. */
  async nextPiece(): Promise<Piece | undefined> {
    while (!this.isHalted) {
      const wakes = this.#wakes
      if (!this.isPaused) this.#kept ??= await this.#decodeNext()
      if (this.isHalted) return undefined
      const piece = this.#kept
      if (piece && !this.isPaused) {
        this.#kept = undefined
        if (this.isCurrent(piece)) return piece
      } else await this.#wokenSince(wakes)
    }
    return undefined
  }

  async #decodeNext(): Promise<Piece | undefined> {
    const reading = this.#reading
    for (;;) {
      this.#current ??= this.#takeFrame()
      const current = this.#current
      if (!current) return undefined
      const { value: records } = await current.pieces.next()
      if (this.#reading !== reading) return undefined
      const { frame, gap } = current
      // A gap is told before anything behind it is done, also where no record comes first there.
      if (records || gap) {
        current.gap = undefined
        return { records: records ?? [], gap, reading }
      }
      this.#current = undefined
      frame.release()
      this.#finished(frame.nextOffset)
    }
  }

  #takeFrame() {
    const frame = this.#feed?.take()
    if (!frame) return undefined
    this.#epochs.add(frame.batches)
    return { frame, pieces: decodePieces(frame, this.#codecs!, PIECE_RECORDS), gap: frame.gap }
  }

  /** Whether the next record of the piece may be handed out: waits while paused. */
  async mayHandOut(piece: Piece): Promise<boolean> {
    while (this.isPaused && !this.isHalted && this.isCurrent(piece)) {
      await this.#wokenSince(this.#wakes)
    }
    return !this.isHalted && this.isCurrent(piece)
  }

  isCurrent({ reading }: Piece): boolean {
    return reading === this.#reading
  }

  handedOut({ offset }: RawRecord): void {
    this.handedTo = Math.max(this.handedTo, offset + 1)
  }

  /** A record of the piece is done, and so is everything before it. */
  done(piece: Piece, { offset }: RawRecord): void {
    if (this.isCurrent(piece) && !this.isOver) this.#finished(offset + 1)
  }

  committed(offset: number): void {
    this.committedTo = offset
    this.#epochs.forgetBefore(offset)
  }

  /** There is no such topic any more, so nothing waits to be committed. */
  cannotCommit(): void {
    this.commitTo = this.committedTo
  }

  pause(): void {
    this.isPaused = true
  }

  resume(): void {
    this.isPaused = false
    this.#wake()
  }

  /** The topic is no more, and with it what had come of it. */
  forget(): void {
    this.#readAnew()
    this.#wake()
  }

  /** Reads on at `offset`; what had come is dropped. */
  moveTo(offset: number): void {
    this.#readAnew()
    this.processedTo = this.commitTo = this.handedTo = offset
    this.#feed?.seek(offset)
    this.#wake()
  }

  /** Whoever works on it takes no more records. */
  retire(): void {
    this.#halted.abort()
    this.#left.abort()
    this.#wake()
  }

  set isBusy(isBusy: boolean) {
    this.#isBusy = isBusy
    if (!isBusy) this.#tellIdle()
  }

  /** Resolves when nobody works on it, or it is not this member's any more. */
  whenIdle(): Promise<void> {
    if (!this.#isBusy || this.isOver) return Promise.resolve()
    return new Promise((resolve) => this.#idle.push(resolve))
  }

  end(): void {
    if (this.isOver) return
    this.#halted.abort()
    this.#left.abort()
    this.#over.abort()
    this.#feed?.close()
    this.#feed = undefined
    this.#current = undefined
    this.#kept = undefined
    this.#wake()
    this.#tellIdle()
  }

  /** The log has lost its end, and is read again from `offset`: what was done beyond counts no more. */
  #cutTo(offset: number): void {
    this.#readAnew()
    this.processedTo = Math.min(this.processedTo, offset)
    this.commitTo = Math.min(this.commitTo, offset)
    this.handedTo = Math.min(this.handedTo, offset)
    this.#onProgress(this)
  }

  #readAnew(): void {
    this.#reading++
    this.#current = undefined
    this.#kept = undefined
    this.failing = undefined
    this.#left.abort()
    if (!this.isHalted) this.#left = new AbortController()
  }

  #finished(nextOffset: number): void {
    if (nextOffset <= this.processedTo) return
    this.processedTo = nextOffset
    this.handedTo = Math.max(this.handedTo, nextOffset)
    this.#onProgress(this)
  }

  #tellIdle(): void {
    for (const tell of this.#idle.splice(0)) tell()
  }

  #wake(): void {
    this.#wakes++
    this.#tellWoken()
  }

  /** Whoever works on it is the only one that waits. */
  #wokenSince(wakes: number): Promise<void> {
    if (wakes !== this.#wakes) return Promise.resolve()
    return new Promise((resolve) => {
      this.#tellWoken = resolve
    })
  }
}
