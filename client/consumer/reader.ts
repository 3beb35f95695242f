/**
 * Reads a topic: records as they come, in order within each partition, from wherever asked.
 *
 * Invariants: nothing happens before the first `next`, `each` or iteration; a record is given once, unless the log was
 * truncated or somebody seeks; what the application has not taken is bounded, and holds the relay back. One consumer at
 * a time: a second iteration of the same reader is refused.
 */
import type { CodecRegistry } from '../../protocol/compression.ts'
import { Emitter } from '../../protocol/lib/events.ts'
import type { RawRecord } from '../../protocol/records.ts'
import { abortError } from '../abort-error.ts'
import { asOttlaError, OttlaError } from '../errors.ts'
import type { Gap, TopicRecord } from '../record.ts'
import type { Serde } from '../serde.ts'
import { decodePieces } from './decode-frame.ts'
import { FeedSet } from './feed-set.ts'
import { recordTyper, type Undecodable } from './record-typer.ts'
import type { Frame, Isolation, OnMissingOffset, Source } from './source.ts'
import { resolveStart, type StartPosition } from './start-position.ts'

export interface ReadOptions {
  /** Default 'end'. */
  from?: StartPosition
  /** Default: all that the topic has when reading begins. */
  partitions?: readonly number[]
  /** Go on when everything there is has been read. Default true. */
  follow?: boolean
  /**
   * 'committed' (default) leaves out aborted transactions and waits for open ones. 'uncommitted' gives every record as soon
   * as it is stored; from a replica, which holds what is decided, every record that is.
   */
  isolation?: 'committed' | 'uncommitted'
  /**
   * When the next offset is gone. 'earliest' (default): go on at the first there is; 'latest': at the end; both tell
   * `onGap` and mark the next record. 'fail': throw OFFSET_OUT_OF_RANGE or LOG_TRUNCATED.
   */
  onMissingOffset?: OnMissingOffset
  /** A key or value that its serde refuses: with this the record is left out and told; without, reading fails. */
  onUndecodable?: (failure: Undecodable) => void
  /** Bytes that may wait for the application, for each partition. Default 2 MiB. */
  bufferBytesMax?: number
  /** Ends reading; the iteration throws ABORTED. */
  signal?: AbortSignal
}

export interface ReaderParts<K, V> {
  topic: string
  key: Serde<K>
  value: Serde<V>
  codecs: CodecRegistry
  open(partitions: readonly number[] | undefined, isolation: Isolation, signal: AbortSignal): Promise<Source>
}

interface Current<K, V> {
  frame: Frame
  /** Decoded on when `records` are used up. */
  pieces: AsyncGenerator<RawRecord[], undefined>
  records: TopicRecord<K, V>[]
  next: number
  isAtEnd: boolean
}

/** Decoded at a time for who takes records one by one: the first of thousands is there at once. */
const PIECE_RECORDS = 64

export class Reader<K, V> implements AsyncIterable<TopicRecord<K, V>> {
  /** Resolves when everything there was has been given for the first time; rejects when reading ends before. */
  readonly upToDate: Promise<void>
  readonly #parts: ReaderParts<K, V>
  readonly #options: ReadOptions
  readonly #type: (partition: number, records: RawRecord[]) => TopicRecord<K, V>[]
  readonly #gaps = new Emitter<Gap>()
  readonly #upToDates = new Emitter<void>()
  readonly #ending = new AbortController()
  readonly #paused = new Set<number>()
  /** For the next record that is given: what comes first behind a gap may be none of those. */
  readonly #untold = new Map<number, Gap>()
  /** Half-read frames of paused partitions. */
  readonly #parked = new Map<number, Current<K, V>>()
  /** What was sought before there are feeds is there too. */
  readonly #positions = new Map<number, number>()
  #feeds: FeedSet | undefined
  #source: Source | undefined
  #starting: Promise<void> | undefined
  #current: Current<K, V> | undefined
  #failure: OttlaError | undefined
  #isClosed = false
  #pieceRecords = PIECE_RECORDS
  #isTaken = false
  #wasUpToDate = false
  #wake: () => void = () => {}
  #settleUpToDate!: { resolve(): void; reject(error: unknown): void }

  constructor(parts: ReaderParts<K, V>, options: ReadOptions) {
    this.#parts = parts
    this.#options = options
    this.#type = recordTyper(parts, options.onUndecodable)
    this.upToDate = new Promise((resolve, reject) => {
      this.#settleUpToDate = { resolve, reject }
    })
    this.upToDate.catch(() => {})
  }

  [Symbol.asyncIterator](): AsyncIterator<TopicRecord<K, V>, undefined> {
    this.#takeOnce()
    const end = async () => {
      await this.close()
      return { done: true as const, value: undefined }
    }
    return {
      next: () => {
        const record = this.#nextNow()
        return record ? Promise.resolve({ done: false, value: record }) : this.#nextLater()
      },
      return: end,
    }
  }

  /** Records as they came together: an array for each frame, never an empty one. Cheaper than one by one. */
  async *batches(): AsyncGenerator<TopicRecord<K, V>[], void, undefined> {
    this.#takeOnce()
    this.#pieceRecords = Number.POSITIVE_INFINITY
    try {
      while (await this.#advance()) {
        const current = this.#current!
        const records = current.next === 0 ? current.records : current.records.slice(current.next)
        current.next = current.records.length
        this.#positions.set(current.frame.partition, current.frame.nextOffset)
        yield records
      }
    } finally {
      await this.close()
    }
  }

  /** Calls back for each record, or each batch, and waits for the callback. Resolves when reading ends. */
  each(callback: (record: TopicRecord<K, V>) => unknown): Promise<void>
  each(callback: (records: TopicRecord<K, V>[]) => unknown, options: { batch: true }): Promise<void>
  async each(callback: (given: never) => unknown, options: { batch?: boolean } = {}): Promise<void> {
    for await (const records of this.batches()) {
      if (options.batch) await callback(records as never)
      else for (const record of records) await callback(record as never)
    }
  }

  /** Gives nothing more of these partitions (default: all) until they are resumed; the relay is held back. */
  pause(partitions?: readonly number[]): void {
    for (const partition of partitions ?? this.#partitions()) this.#paused.add(partition)
  }

  resume(partitions?: readonly number[]): void {
    for (const partition of partitions ?? this.#paused) this.#paused.delete(partition)
    this.#wake()
  }

  /** Goes on at `offset` of one partition. What had come of it is dropped. */
  seek(partition: number, offset: number): void {
    if (!Number.isSafeInteger(offset) || offset < 0) {
      throw new OttlaError('INVALID_ARGUMENT', { message: `offset ${offset} cannot be sought` })
    }
    if (this.#current?.frame.partition === partition) this.#current = undefined
    this.#parked.delete(partition)
    this.#untold.delete(partition)
    this.#positions.set(partition, offset)
    this.#feeds?.seek(partition, offset)
    this.#wake()
  }

  /** The offset after the last record given, by partition. Where none was, where reading begins, once that is known. */
  positions(): ReadonlyMap<number, number> {
    return new Map(this.#positions)
  }

  /** Everything there is has been given, as far as can be known now. */
  get isUpToDate(): boolean {
    return this.#wasUpToDate
  }

  /** Each time that the reader has caught up. */
  onUpToDate(listener: () => void): () => void {
    return this.#upToDates.on(listener)
  }

  /** As soon as a gap is known, which may be before the records in front of it are read. */
  onGap(listener: (gap: Gap) => void): () => void {
    return this.#gaps.on(listener)
  }

  /** Idempotent. An iteration that waits ends. */
  async close(): Promise<void> {
    this.#end()
  }

  // --- the inside ----------------------------------------------------------------------------------------------

  #partitions(): readonly number[] {
    return this.#feeds?.partitions ?? this.#options.partitions ?? []
  }

  #takeOnce(): void {
    if (this.#isTaken) throw new OttlaError('INVALID_ARGUMENT', { message: 'a reader is iterated once; open another' })
    this.#isTaken = true
  }

  #nextNow(): TopicRecord<K, V> | undefined {
    const current = this.#current
    if (!current || this.#isClosed || this.#paused.has(current.frame.partition)) return undefined
    const record = current.records[current.next]
    if (!record) return undefined
    current.next++
    this.#positions.set(record.partition, record.offset + 1)
    return record
  }

  async #nextLater(): Promise<IteratorResult<TopicRecord<K, V>, undefined>> {
    while (await this.#advance()) {
      const record = this.#nextNow()
      if (record) return { done: false, value: record }
    }
    return { done: true, value: undefined }
  }

  /** Makes `#current` something with records left. False when reading has ended. */
  async #advance(): Promise<boolean> {
    this.#starting ??= this.#start()
    await this.#starting
    for (;;) {
      if (this.#failure) throw this.#failure
      if (this.#isClosed) return false
      this.#putAside()
      const current = this.#current ?? this.#takeFrame()
      if (current && current.next < current.records.length) return true
      if (current) await this.#decode(current)
      else if (this.#rest()) this.#end()
      else await this.#woken()
    }
  }

  /** Releases what is read, parks what is paused, takes up what was parked. */
  #putAside(): void {
    const current = this.#current
    if (current?.isAtEnd && current.next >= current.records.length) {
      this.#current = undefined
      this.#positions.set(current.frame.partition, current.frame.nextOffset)
      current.frame.release()
    } else if (current && this.#paused.has(current.frame.partition)) {
      this.#current = undefined
      this.#parked.set(current.frame.partition, current)
    }
    if (this.#current) return
    for (const [partition, parked] of this.#parked) {
      if (this.#paused.has(partition)) continue
      this.#parked.delete(partition)
      this.#current = parked
      return
    }
  }

  #takeFrame(): Current<K, V> | undefined {
    const frame = this.#feeds!.take(this.#paused)
    if (!frame) return undefined
    this.#wasUpToDate = false
    const pieces = decodePieces(frame, this.#parts.codecs, this.#pieceRecords)
    this.#current = { frame, pieces, records: [], next: 0, isAtEnd: false }
    if (frame.gap) this.#keepGap(frame.gap)
    return this.#current
  }

  /** Of a frame that a seek has dropped meanwhile nothing is given: it is not `#current` any more. */
  async #decode(current: Current<K, V>): Promise<void> {
    try {
      const { value } = await current.pieces.next()
      current.isAtEnd = value === undefined
      current.records = value ? this.#type(current.frame.partition, value) : []
      current.next = 0
      const [first] = current.records
      if (first) this.#tellGap(first)
    } catch (thrown) {
      this.#end(asOttlaError(thrown, 'CORRUPT'))
    }
  }

  #keepGap(gap: Gap): void {
    const { from } = this.#untold.get(gap.partition) ?? gap
    this.#untold.set(gap.partition, { ...gap, from })
  }

  #tellGap(record: TopicRecord<K, V>): void {
    const gap = this.#untold.get(record.partition)
    if (!gap) return
    record.gap = gap
    this.#untold.delete(record.partition)
  }

  /** Nothing to take: are we there, and is that the end? */
  #rest(): boolean {
    const feeds = this.#feeds!
    const ends = this.#options.follow === false
    if (ends) feeds.finishUpToDate(this.#parked)
    const isUpToDate = this.#parked.size === 0 && feeds.isUpToDate
    if (isUpToDate && !this.#wasUpToDate) {
      this.#wasUpToDate = true
      this.#settleUpToDate.resolve()
      this.#upToDates.emit()
    }
    this.#wasUpToDate = isUpToDate
    return ends && feeds.areFinished
  }

  #woken(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve
    })
  }

  async #start(): Promise<void> {
    const { signal, from = 'end', partitions } = this.#options
    const onAbort = () => this.#end(abortError(`reading ${this.#parts.topic}`, signal!))
    if (signal?.aborted) return onAbort()
    const ending = this.#ending.signal
    signal?.addEventListener('abort', onAbort, { signal: ending })
    // Ending must not wait for a relay that does not answer.
    const ended = new Promise((resolve) => ending.addEventListener('abort', resolve))
    await Promise.race([
      ended,
      this.#open(from, partitions).catch((thrown) => this.#end(asOttlaError(thrown, 'PROTOCOL'))),
    ])
  }

  async #open(from: StartPosition, asked: readonly number[] | undefined): Promise<void> {
    const isolation = this.#options.isolation === 'uncommitted' ? 0 : 1
    const source = await this.#parts.open(asked, isolation, this.#ending.signal)
    this.#source = source
    if (this.#isClosed) return source.close()
    const partitions = checkedPartitions(source, asked)
    const starts = await resolveStart(source, from, partitions, this.#parts.codecs)
    if (this.#isClosed) return
    const { onMissingOffset = 'earliest', bufferBytesMax = 2 * 1024 * 1024 } = this.#options
    const onStart = (partition: number, offset: number) =>
      this.#positions.has(partition) || offset < 0 || this.#positions.set(partition, offset)
    this.#feeds = new FeedSet(
      source,
      starts,
      { onMissingOffset, isolation, bufferBytesMax },
      {
        onStart,
        onReady: () => this.#wake(),
        onGap: (gap) => this.#gaps.emit(gap),
        onFailed: (error) => this.#end(asOttlaError(error, 'PROTOCOL')),
      },
    )
    for (const [partition, offset] of this.#positions) this.#feeds.seek(partition, offset)
    for (const { partition, from } of starts) onStart(partition, from)
  }

  #end(failure?: OttlaError): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#failure = failure
    this.#ending.abort()
    this.#source?.close()
    this.#current = undefined
    this.#parked.clear()
    this.#settleUpToDate.reject(failure ?? new OttlaError('CLOSED', { message: 'the reader was closed' }))
    this.#wake()
  }
}

function checkedPartitions({ topic }: Source, asked: readonly number[] | undefined): number[] {
  const { name, partitionCount } = topic
  if (!asked) return Array.from({ length: partitionCount }, (_, partition) => partition)
  for (const partition of asked) {
    if (Number.isInteger(partition) && partition >= 0 && partition < partitionCount) continue
    throw new OttlaError('UNKNOWN_PARTITION', {
      message: `${name} has no partition ${partition}, it has ${partitionCount}`,
    })
  }
  return [...new Set(asked)]
}
