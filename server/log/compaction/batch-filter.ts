/**
 * Which records of a batch stay.
 *
 *  - Of each key the newest; what lies beyond the map is left alone, and so are records without a key.
 *  - A tombstone stays until the delete horizon of its batch, which the first pass over it sets.
 *  - Records of aborted transactions go. A marker stays as long as its transaction has records, then until its horizon.
 *  - A batch that a producer's state hangs on (its last five, its last marker) leaves at least its header.
 *
 * Batches must come in the order of the log: whether a marker's transaction has records is known from those before it.
 */
import type { BatchHeader } from '../../../protocol/record-batch.ts'
import {
  BATCH_HEADER_BYTES,
  hasDeleteHorizon,
  hasProducer,
  isControl,
  isTransactional,
  nextOffsetOf,
} from '../../../protocol/record-batch.ts'
import { readMarker } from '../../../protocol/transaction-marker.ts'
import type { ProducerTable } from '../producer-state.ts'
import { blockOf, OpaqueBatch, readable } from './batch-block.ts'
import { emptiedBatch, rebuildBatch } from './batch-forms.ts'
import type { StreamedBatch } from './batch-stream.ts'
import type { OffsetMap } from './offset-map.ts'
import type { PassContext } from './pass-context.ts'
import { type PlacedRecord, RecordCursor } from './record-cursor.ts'

export type Filtered =
  | { outcome: 'same' }
  | { outcome: 'changed'; bytes: Uint8Array }
  /** Nothing of it is left. `isNews` is false for a gap that was one before. */
  | { outcome: 'gone'; isNews: boolean }

/** A marker outlives every read that still holds records which it ends. */
const MARKER_STAY_MS_MIN = 60_000

const SAME: Filtered = { outcome: 'same' }

export class BatchFilter {
  readonly #context: PassContext
  readonly #map: OffsetMap
  /** Every key below this is in the map, or was compacted before. */
  readonly #mapEnd: number
  /** First offsets of batches that a producer's state hangs on. */
  readonly #anchors: ReadonlySet<number>
  /** Producers whose transaction, as far as it was seen, has records left. */
  #withRecords = new Set<number>()
  recordsRemoved = 0

  constructor(context: PassContext, map: OffsetMap, mapEnd: number) {
    this.#context = context
    this.#map = map
    this.#mapEnd = mapEnd
    this.#anchors = anchorsOf(context.state.producers)
  }

  /** To come back to when a part is read a second time. */
  bookmark(): () => void {
    const withRecords = new Set(this.#withRecords)
    const { recordsRemoved } = this
    return () => {
      this.#withRecords = new Set(withRecords)
      this.recordsRemoved = recordsRemoved
    }
  }

  async filter(batch: StreamedBatch): Promise<Filtered> {
    const { header } = batch
    if (isControl(header)) return this.#filterMarker(batch)
    if (header.recordCount === 0) {
      const isAnchor = hasProducer(header) && this.#anchors.has(header.baseOffset)
      return isAnchor ? SAME : { outcome: 'gone', isNews: hasProducer(header) }
    }
    const isDead = nextOffsetOf(header) <= this.#context.state.startOffset || this.#context.aborted.has(header)
    if (isDead) return this.#withoutRecords(header)
    if (header.baseOffset < this.#mapEnd) return this.#filterRecords(batch)
    this.#noteRecords(header)
    return SAME
  }

  /** Whether a later pass may take tombstones, or the marker, out of it. */
  mayShrink(header: BatchHeader): boolean {
    if (!hasDeleteHorizon(header) || this.#context.skips.isBefore(header.baseOffset)) return false
    return !(isControl(header) && this.#anchors.has(header.baseOffset))
  }

  #withoutRecords(header: BatchHeader): Filtered {
    this.recordsRemoved += header.recordCount
    if (!this.#anchors.has(header.baseOffset)) return { outcome: 'gone', isNews: true }
    return { outcome: 'changed', bytes: emptiedBatch(header) }
  }

  async #filterRecords({ header, bytes }: StreamedBatch): Promise<Filtered> {
    const { codecs, skips } = this.#context
    try {
      const block = await blockOf(header, bytes, codecs)
      return await readable(() => this.#filterBlock(header, block))
    } catch (error) {
      if (!(error instanceof OpaqueBatch)) throw error
      skips.batch(header, error)
      this.#noteRecords(header)
      return SAME
    }
  }

  async #filterBlock(header: BatchHeader, block: Uint8Array): Promise<Filtered> {
    const { pace, codecs } = this.#context
    const cursor = new RecordCursor(header, block)
    const kept: PlacedRecord[] = []
    let tombstones = 0
    for (let record = cursor.next(), count = 1; record; record = cursor.next(), count++) {
      if (this.#keeps(record, header)) {
        kept.push(record)
        if (record.isTombstone && this.#isRipening(record)) tombstones++
      }
      if (count % 256 === 0 && pace.isDue) await pace.rest()
    }
    if (kept.length === 0) return this.#withoutRecords(header)
    const horizonMs = this.#horizonOf(header, tombstones, kept)
    const isSame = kept.length === header.recordCount && hasDeleteHorizon(header) === (horizonMs !== undefined)
    const filtered: Filtered = isSame
      ? SAME
      : { outcome: 'changed', bytes: await rebuildBatch({ header, block, records: kept, horizonMs }, codecs) }
    this.recordsRemoved += header.recordCount - kept.length
    this.#noteRecords(header)
    return filtered
  }

  #keeps(record: PlacedRecord, header: BatchHeader): boolean {
    const { offset, key, isTombstone } = record
    if (offset < this.#context.state.startOffset) return false
    if (offset >= this.#mapEnd || key === null) return true
    const newest = this.#map.newest(key)
    if (newest !== undefined && newest > offset) return false
    return !(isTombstone && this.#isRipening(record) && this.#isPastHorizon(header))
  }

  /** Its time runs, or begins to run: all older records of its key are gone, or go in this pass. */
  #isRipening({ offset }: PlacedRecord): boolean {
    return offset < this.#mapEnd && !this.#context.skips.isBefore(offset)
  }

  #isPastHorizon(header: BatchHeader): boolean {
    return hasDeleteHorizon(header) && header.baseTimestamp <= this.#context.nowMs
  }

  #horizonOf(header: BatchHeader, tombstones: number, kept: readonly PlacedRecord[]): number | undefined {
    if (hasDeleteHorizon(header)) return kept.some(({ isTombstone }) => isTombstone) ? header.baseTimestamp : undefined
    return tombstones > 0 ? this.#context.nowMs + this.#context.config.deleteRetentionMs : undefined
  }

  #noteRecords(header: BatchHeader): void {
    if (isTransactional(header)) this.#withRecords.add(header.producerId)
  }

  async #filterMarker({ header, bytes }: StreamedBatch): Promise<Filtered> {
    const { skips, codecs } = this.#context
    const hasRecords = this.#withRecords.delete(header.producerId)
    const isNeeded = hasRecords || this.#anchors.has(header.baseOffset) || skips.isBefore(header.baseOffset)
    if (isNeeded || header.baseOffset >= this.#mapEnd || !readMarker(bytes, 0, header)) return SAME
    if (hasDeleteHorizon(header)) return this.#isPastHorizon(header) ? { outcome: 'gone', isNews: true } : SAME
    const block = bytes.subarray(BATCH_HEADER_BYTES)
    const record = new RecordCursor(header, block).next()!
    const { nowMs, config } = this.#context
    const horizonMs = nowMs + Math.max(config.deleteRetentionMs, MARKER_STAY_MS_MIN)
    return { outcome: 'changed', bytes: await rebuildBatch({ header, block, records: [record], horizonMs }, codecs) }
  }
}

function anchorsOf(producers: ProducerTable): Set<number> {
  const anchors = new Set<number>()
  for (const { batches, markerOffset } of producers.entries()) {
    for (const { baseOffset } of batches) anchors.add(baseOffset)
    if (markerOffset >= 0) anchors.add(markerOffset)
  }
  return anchors
}
