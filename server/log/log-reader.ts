/**
 * Reads whole batches from disk, one read each. Every batch is checked before it is handed out; a damaged one takes the
 * log offline from its offset on and is never served.
 *
 * A position is found by the sparse index, or at once where the reader goes on from where it (or another) last stopped.
 */
import { KafkaError } from '../../protocol/errors.ts'
import {
  BATCH_HEADER_BYTES,
  batchSizeAt,
  findBatchFault,
  nextOffsetAt,
  readBatchHeader,
  viewOf,
} from '../../protocol/record-batch.ts'
import type { Files } from '../storage/files.ts'
import { readFully, readWholeFile } from '../storage/files.ts'
import { logCrc32c } from './checksum.ts'
import { clearCommitMark } from './commit-mark.ts'
import type { LogFault } from './log-fault.ts'
import { makeFault, storageRefusal } from './log-fault.ts'
import type { LogState } from './log-state.ts'
import { ProducerReplay } from './producer-replay.ts'
import type { Segment } from './segment.ts'
import type { OnBatch } from './segment-scan.ts'
import { scanSegment } from './segment-scan.ts'
import { INDEX_INTERVAL_BYTES, SparseIndex } from './sparse-index.ts'

export interface ReadResult {
  /** Whole batches; empty at the end of the log. */
  bytes: Uint8Array
  /** Of the first batch; may be below the offset that was asked for. */
  baseOffset: number
  /** Where to read on. */
  nextOffset: number
}

const HINTS_MAX = 256

/** Gives a buffer to read into. */
export type Allocate = (sizeBytes: number) => Buffer

const allocateNew: Allocate = (sizeBytes) => Buffer.allocUnsafeSlow(sizeBytes)

export interface LogReaderOptions {
  files: Files
  dir: string
  state: LogState
  onDamage: (fault: LogFault) => void
}

interface HowToRead {
  maxBytes: number
  /** The offset that nothing may reach beyond. */
  limit: number
  allocate: Allocate
}

export class LogReader {
  readonly #files: Files
  readonly #dir: string
  readonly #state: LogState
  readonly #onDamage: (fault: LogFault) => void
  /** Where the batch with this base offset begins. Oldest first. */
  #hints = new Map<number, { segment: Segment; position: number }>()

  constructor(options: LogReaderOptions) {
    this.#files = options.files
    this.#dir = options.dir
    this.#state = options.state
    this.#onDamage = options.onDamage
  }

  /** Throws OFFSET_OUT_OF_RANGE, or KAFKA_STORAGE_ERROR where the log is damaged. */
  async read(offset: number, maxBytes: number, upTo: number, allocate = allocateNew): Promise<ReadResult> {
    for (;;) {
      const { generation } = this.#state
      this.checkReadable(offset)
      const limit = Math.min(upTo, this.#state.readableEnd)
      const segment = offset < limit ? this.#state.segmentFor(offset) : undefined
      if (!segment) return { bytes: new Uint8Array(0), baseOffset: offset, nextOffset: offset }
      try {
        return await this.#readSegment(segment, offset, { maxBytes, limit, allocate })
      } catch (error) {
        // Retention or a truncation took the segment away meanwhile: look again.
        const isGone = generation !== this.#state.generation || offset < this.#state.startOffset
        if (!isGone) throw error
      }
    }
  }

  checkReadable(offset: number): void {
    const { startOffset, endOffset, fault, readableEnd } = this.#state
    // Before the range: a reader that is told "out of range" would cut its replica to what is left here.
    if (fault && fault.kind !== 'write' && offset >= readableEnd) throw storageRefusal(fault)
    if (offset >= startOffset && offset <= endOffset) return
    throw new KafkaError(
      'OFFSET_OUT_OF_RANGE',
      `offset ${offset} is outside the log, which holds ${startOffset} to ${endOffset}`,
    )
  }

  async #readSegment(segment: Segment, offset: number, how: HowToRead): Promise<ReadResult> {
    const { maxBytes, limit, allocate } = how
    const from = await this.positionOf(segment, offset)
    let wanted = Math.max(maxBytes, BATCH_HEADER_BYTES) + (from.isExact ? 0 : INDEX_INTERVAL_BYTES)
    let position = from.position
    for (;;) {
      const buffer = allocate(Math.min(wanted, segment.sizeBytes - position))
      const count = await segment.use((file) => readFully(file, buffer, position))
      if (count < buffer.length) throw this.#damaged(segment, position + count, offset, 'the file ends too early')
      const start = this.#skipTo(segment, buffer, position, offset)
      const whole = this.#takeBatches(segment, buffer, start, { position, offset, maxBytes, limit })
      if (whole.end > start || whole.isLimited) {
        return { bytes: buffer.subarray(start, whole.end), baseOffset: whole.baseOffset, nextOffset: whole.nextOffset }
      }
      // The batch is larger than what was read. Its size is no more than what the segment holds.
      position += start
      const left = segment.sizeBytes - position
      const known = buffer.length - start >= BATCH_HEADER_BYTES
      const sizeBytes = known ? batchSizeAt(viewOf(buffer), start) : maxBytes + BATCH_HEADER_BYTES
      if (known && sizeBytes > left) throw this.#damaged(segment, position, offset, 'a batch with an impossible size')
      wanted = sizeBytes
    }
  }

  /** Where in the buffer the batch that holds `offset` begins; the buffer's last batch boundary if it lies beyond. */
  #skipTo(segment: Segment, buffer: Uint8Array, position: number, offset: number): number {
    const view = viewOf(buffer)
    let at = 0
    while (buffer.length - at >= BATCH_HEADER_BYTES && nextOffsetAt(view, at) <= offset) {
      const sizeBytes = batchSizeAt(view, at)
      if (sizeBytes < BATCH_HEADER_BYTES || sizeBytes > segment.sizeBytes - position - at) {
        throw this.#damaged(segment, position + at, offset, 'a batch with an impossible size')
      }
      if (at + sizeBytes > buffer.length) break
      at += sizeBytes
    }
    return at
  }

  #takeBatches(
    segment: Segment,
    buffer: Uint8Array,
    start: number,
    range: { position: number; offset: number; maxBytes: number; limit: number },
  ): { end: number; baseOffset: number; nextOffset: number; isLimited: boolean } {
    const view = viewOf(buffer)
    const taken = { end: start, baseOffset: range.offset, nextOffset: range.offset, isLimited: false }
    let expected = -1
    for (let at = start; at < buffer.length; at = taken.end) {
      const fault = findBatchFault(buffer, view, at, logCrc32c)
      if (fault === 'short' && range.position + buffer.length < segment.sizeBytes) break
      const header = fault ? undefined : readBatchHeader(view, at)
      const isInPlace = header && (expected < 0 ? header.baseOffset <= range.offset : header.baseOffset === expected)
      if (!header || !isInPlace) {
        const damage = this.#damaged(segment, range.position + at, Math.max(expected, range.offset), fault ?? 'offset')
        if (taken.end > start) break
        throw damage
      }
      expected = header.baseOffset + header.lastOffsetDelta + 1
      taken.isLimited = expected > range.limit
      const isFull = taken.end > start && at + header.sizeBytes - start > range.maxBytes
      if (taken.isLimited || isFull) break
      if (taken.end === start) taken.baseOffset = header.baseOffset
      clearCommitMark(buffer, at)
      taken.end = at + header.sizeBytes
      taken.nextOffset = expected
    }
    if (taken.end > start) this.#hint(taken.nextOffset, segment, range.position + taken.end)
    return taken
  }

  #damaged(segment: Segment, position: number, offset: number, what: string): KafkaError {
    const fault = makeFault('corrupt', segment.name, position, offset, `a damaged batch (${what})`)
    if (this.#state.segments.includes(segment)) this.#onDamage(fault)
    return storageRefusal(fault)
  }

  /** A batch boundary at or before `offset`. */
  async positionOf(segment: Segment, offset: number): Promise<{ position: number; isExact: boolean }> {
    if (offset <= segment.baseOffset) return { position: 0, isExact: true }
    const hint = this.#hints.get(offset)
    if (hint?.segment === segment && hint.position < segment.sizeBytes)
      return { position: hint.position, isExact: true }
    const index = segment.index ?? (await this.loadIndex(segment))
    return { position: index.positionFor(offset), isExact: false }
  }

  #hint(offset: number, segment: Segment, position: number): void {
    if (position >= segment.sizeBytes && segment.isSealed) return
    this.#hints.delete(offset)
    this.#hints.set(offset, { segment, position })
    if (this.#hints.size > HINTS_MAX) this.#hints.delete(this.#hints.keys().next().value!)
  }

  /** From its file, or by reading the segment if that is lost or damaged. */
  async loadIndex(segment: Segment): Promise<SparseIndex> {
    const bytes = await readWholeFile(this.#files, segment.indexPath)
    const loaded = bytes && SparseIndex.decode(bytes, segment.bounds)
    const isTrue = loaded && loaded.aborted.from === segment.abortedFrom
    const index = isTrue ? loaded : await this.#rebuildIndex(segment)
    segment.keepIndex(index)
    return index
  }

  async #rebuildIndex(segment: Segment): Promise<SparseIndex> {
    const index = new SparseIndex()
    const producers = await this.#producersAt(segment.baseOffset)
    await this.#scanWhole(segment, (header, position, bytes, at) => {
      index.add(header.baseOffset, position, header.maxTimestamp)
      const aborted = producers.replay(header, bytes, at)
      if (aborted) index.aborted.add(aborted)
    })
    return index
  }

  /** Which transactions were open there: of the snapshot at the segment's beginning, or of what lies before it. */
  async #producersAt(offset: number): Promise<ProducerReplay> {
    const { snapshots, segments } = this.#state
    const producers = new ProducerReplay({ files: this.#files, dir: this.#dir, snapshots })
    await producers.loadUpTo(offset)
    for (const segment of segments.filter(
      ({ baseOffset, endOffset }) => baseOffset < offset && endOffset > producers.from,
    )) {
      await this.#scanWhole(segment, (header, _position, bytes, at) => void producers.replay(header, bytes, at))
    }
    return producers
  }

  async #scanWhole(segment: Segment, onBatch: OnBatch): Promise<void> {
    const range = { fromPosition: 0, fromOffset: segment.baseOffset, toPosition: segment.sizeBytes }
    const result = await segment.use((file) => scanSegment(file, range, onBatch))
    if (result.stop) throw this.#damaged(segment, result.stop.position, result.endOffset, result.stop.reason)
  }

  forgetHints(): void {
    this.#hints.clear()
  }
}
