/**
 * Where in a segment is an offset, or a time? One entry per 16 KiB: the offset and position of a batch, and the largest
 * timestamp before it. That never falls, so both questions are binary searches; the rest is a short walk over headers.
 *
 * In a file the entries stand between a header and a checksum. The file is a cache: lost or damaged, it is made anew.
 *
 *   u32 "OTIX", u32 count, f64 base offset, f64 end offset, f64 segment bytes, f64 largest timestamp,
 *   count x (f64 offset, f64 position, f64 largest timestamp before), u32 CRC-32C
 *
 * A segment with aborted transactions has "OTIA" in front, and before the checksum for each of them:
 *   f64 producer id, f64 first offset, f64 marker's offset
 */
import { ABORTED_ENTRY_BYTES, AbortedTransactions } from './aborted-transactions.ts'
import { logCrc32c } from './checksum.ts'

export const INDEX_INTERVAL_BYTES = 16 * 1024
const MAGIC = 0x4f544958
const MAGIC_WITH_ABORTED = 0x4f544941
const HEADER_BYTES = 40
const ENTRY_BYTES = 24

export interface IndexBounds {
  baseOffset: number
  endOffset: number
  sizeBytes: number
}

export class SparseIndex {
  #offsets = new Float64Array(16)
  #positions = new Float64Array(16)
  #timestampsBefore = new Float64Array(16)
  count = 0
  maxTimestamp = -1
  readonly aborted = new AbortedTransactions()

  /** Tells of a batch. They come in order; every batch must be told, since any may carry the largest timestamp. */
  add(offset: number, position: number, batchMaxTimestamp: number): void {
    if (this.count === 0 || position - this.#positions[this.count - 1]! >= INDEX_INTERVAL_BYTES) {
      this.#push(offset, position, this.maxTimestamp)
    }
    if (batchMaxTimestamp > this.maxTimestamp) this.maxTimestamp = batchMaxTimestamp
  }

  /** The position of a batch that begins at `offset` or before it; 0 when there is none. */
  positionFor(offset: number): number {
    const index = lastAtMost(this.#offsets, this.count, offset)
    return index < 0 ? 0 : this.#positions[index]!
  }

  /** The offset of a batch before which all timestamps are below `timestampMs`; undefined when the index is empty. */
  offsetForTimestamp(timestampMs: number): number | undefined {
    const index = lastAtMost(this.#timestampsBefore, this.count, timestampMs - 0.5)
    return index < 0 ? undefined : this.#offsets[index]
  }

  *entries(): Generator<{ offset: number; position: number; timestampBefore: number }> {
    for (let index = 0; index < this.count; index++) {
      yield {
        offset: this.#offsets[index]!,
        position: this.#positions[index]!,
        timestampBefore: this.#timestampsBefore[index]!,
      }
    }
  }

  #push(offset: number, position: number, timestampBefore: number): void {
    if (this.count === this.#offsets.length) {
      this.#offsets = doubled(this.#offsets)
      this.#positions = doubled(this.#positions)
      this.#timestampsBefore = doubled(this.#timestampsBefore)
    }
    this.#offsets[this.count] = offset
    this.#positions[this.count] = position
    this.#timestampsBefore[this.count] = timestampBefore
    this.count++
  }

  encode(bounds: IndexBounds): Uint8Array {
    const { aborted, count } = this
    const bytes = new Uint8Array(HEADER_BYTES + count * ENTRY_BYTES + aborted.count * ABORTED_ENTRY_BYTES + 4)
    const view = new DataView(bytes.buffer)
    view.setUint32(0, aborted.count > 0 ? MAGIC_WITH_ABORTED : MAGIC)
    view.setUint32(4, count)
    view.setFloat64(8, bounds.baseOffset)
    view.setFloat64(16, bounds.endOffset)
    view.setFloat64(24, bounds.sizeBytes)
    view.setFloat64(32, this.maxTimestamp)
    let at = HEADER_BYTES
    const put = (...fields: number[]) => {
      for (const field of fields) {
        view.setFloat64(at, field)
        at += 8
      }
    }
    for (const entry of this.entries()) put(entry.offset, entry.position, entry.timestampBefore)
    for (const entry of aborted.entries()) put(entry.producerId, entry.firstOffset, entry.lastOffset)
    view.setUint32(at, logCrc32c(bytes, 0, at))
    return bytes
  }

  /** undefined when the bytes are damaged or speak of another extent of the segment. */
  static decode(bytes: Uint8Array, bounds: IndexBounds): SparseIndex | undefined {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    const end = bytes.length - 4
    if (end < HEADER_BYTES || view.getUint32(end) !== logCrc32c(bytes, 0, end)) return undefined
    const magic = view.getUint32(0)
    const abortedFrom = HEADER_BYTES + view.getUint32(4) * ENTRY_BYTES
    const isWhole =
      magic === MAGIC_WITH_ABORTED
        ? abortedFrom < end && (end - abortedFrom) % ABORTED_ENTRY_BYTES === 0
        : magic === MAGIC && abortedFrom === end
    const matches =
      view.getFloat64(8) === bounds.baseOffset &&
      view.getFloat64(16) === bounds.endOffset &&
      view.getFloat64(24) === bounds.sizeBytes
    if (!isWhole || !matches) return undefined
    const index = new SparseIndex()
    for (let at = HEADER_BYTES; at < abortedFrom; at += ENTRY_BYTES) {
      index.#push(view.getFloat64(at), view.getFloat64(at + 8), view.getFloat64(at + 16))
    }
    for (let at = abortedFrom; at < end; at += ABORTED_ENTRY_BYTES) {
      const [producerId, firstOffset] = [view.getFloat64(at), view.getFloat64(at + 8)]
      index.aborted.add({ producerId, firstOffset, lastOffset: view.getFloat64(at + 16) })
    }
    index.maxTimestamp = view.getFloat64(32)
    return index
  }
}

function doubled(array: Float64Array<ArrayBuffer>): Float64Array<ArrayBuffer> {
  const larger = new Float64Array(array.length * 2)
  larger.set(array)
  return larger
}

/** Index of the last of `count` ascending values that is not above `limit`; -1 when all are. */
function lastAtMost(values: Float64Array, count: number, limit: number): number {
  let low = 0
  let high = count
  while (low < high) {
    const middle = (low + high) >>> 1
    if (values[middle]! <= limit) low = middle + 1
    else high = middle
  }
  return low - 1
}
