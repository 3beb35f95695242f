/** Offsets by time (ListOffsets): the first record at or after a time, and the record with the largest timestamp. */
import { MalformedError } from '../../protocol/bytes/reader.ts'
import { standardCodecs } from '../../protocol/codecs/standard.ts'
import { type CodecRegistry, inflatedBytesMax } from '../../protocol/compression.ts'
import {
  BATCH_HEADER_BYTES,
  type BatchHeader,
  batchesIn,
  codecOf,
  hasLogAppendTime,
} from '../../protocol/record-batch.ts'
import { RecordCursor } from './compaction/record-cursor.ts'
import type { LogReader } from './log-reader.ts'
import type { LogState } from './log-state.ts'

export interface TimedOffset {
  offset: number
  timestamp: number
}

const READ_BYTES = 256 * 1024
const RECORDS_PER_TURN = 20_000

export class TimeLookup {
  readonly #state: LogState
  readonly #reader: LogReader
  readonly #codecs: CodecRegistry

  constructor(state: LogState, reader: LogReader, codecs: CodecRegistry = standardCodecs()) {
    this.#state = state
    this.#reader = reader
    this.#codecs = codecs
  }

  /** The first record whose timestamp is `timestampMs` or later; undefined when there is none. */
  async first(timestampMs: number): Promise<TimedOffset | undefined> {
    for (;;) {
      const { generation, startOffset } = this.#state
      try {
        return await this.#first(timestampMs)
      } catch (error) {
        // A segment was replaced, or dropped, while it was looked at.
        if (generation === this.#state.generation && startOffset === this.#state.startOffset) throw error
      }
    }
  }

  async #first(timestampMs: number): Promise<TimedOffset | undefined> {
    for (const segment of [...this.#state.segments]) {
      const isBehind = segment.endOffset <= this.#state.startOffset
      if (isBehind || segment.maxTimestamp < timestampMs) continue
      const index = segment.index ?? (await this.#reader.loadIndex(segment))
      const from = Math.max(index.offsetForTimestamp(timestampMs) ?? segment.baseOffset, this.#state.startOffset)
      const found = await this.#search(from, segment.endOffset, timestampMs)
      if (found) return found
    }
    return undefined
  }

  /** The first of the records with the largest timestamp. */
  async newest(): Promise<TimedOffset | undefined> {
    let largest = -1
    for (const segment of this.#state.segments) {
      if (segment.endOffset > this.#state.startOffset) largest = Math.max(largest, segment.maxTimestamp)
    }
    if (largest < 0) return undefined
    const found = await this.first(largest)
    if (found) return found
    // The record that had it lies below the log's start, or is not durable yet.
    return this.#newestByReading()
  }

  async #newestByReading(): Promise<TimedOffset | undefined> {
    let best: BatchHeader | undefined
    let bestBatch = new Uint8Array(0)
    for (let at = this.#state.startOffset; at < this.#state.readableEnd; ) {
      const read = await this.#reader.read(at, READ_BYTES, Number.POSITIVE_INFINITY)
      if (read.nextOffset === at) break
      for (const { at: from, end, header } of batchesIn(read.bytes)) {
        if (best && header.maxTimestamp <= best.maxTimestamp) continue
        best = header
        bestBatch = new Uint8Array(read.bytes.subarray(from, end))
      }
      at = read.nextOffset
    }
    return best && this.#searchBatch(best, bestBatch, best.maxTimestamp)
  }

  async #search(from: number, to: number, timestampMs: number): Promise<TimedOffset | undefined> {
    for (let at = from; at < Math.min(to, this.#state.readableEnd); ) {
      const read = await this.#reader.read(at, READ_BYTES, to)
      if (read.nextOffset === at) return undefined
      for (const { at: start, end, header } of batchesIn(read.bytes)) {
        if (header.maxTimestamp < timestampMs) continue
        const found = await this.#searchBatch(header, read.bytes.subarray(start, end), timestampMs)
        if (found) return found
      }
      at = read.nextOffset
    }
    return undefined
  }

  async #searchBatch(header: BatchHeader, batch: Uint8Array, timestampMs: number): Promise<TimedOffset | undefined> {
    try {
      const cursor = new RecordCursor(header, await this.#blockOf(header, batch))
      for (let record = cursor.next(), count = 1; record; record = cursor.next(), count++) {
        const timestamp = hasLogAppendTime(header) ? header.maxTimestamp : record.timestamp
        if (timestamp >= timestampMs && record.offset >= this.#state.startOffset)
          return { offset: record.offset, timestamp }
        // A batch may hold millions, and everybody's requests run on this thread.
        if (count % RECORDS_PER_TURN === 0) await new Promise((resolve) => setImmediate(resolve))
      }
      return undefined
    } catch (error) {
      // What a codec throws for bytes that are not its own is no kind of error of ours.
      if (codecOf(header) === 0 && !(error instanceof MalformedError)) throw error
      // Where nobody can look into it, the batch answers for its records.
      return { offset: header.baseOffset, timestamp: header.maxTimestamp }
    }
  }

  async #blockOf(header: BatchHeader, batch: Uint8Array): Promise<Uint8Array> {
    const block = batch.subarray(BATCH_HEADER_BYTES)
    if (codecOf(header) === 0) return block
    const codec = await this.#codecs.find(codecOf(header))
    return codec.decompress(block, inflatedBytesMax(block.length))
  }
}
