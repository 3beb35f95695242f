/** Walks over the records of an inflated block without decoding more than compaction must know: offset, time, key. */
import { MalformedError, Reader } from '../../../protocol/bytes/reader.ts'
import type { BatchHeader } from '../../../protocol/record-batch.ts'

const RECORD_BYTES_MIN = 7

export interface PlacedRecord {
  offset: number
  /** By its own delta; with LogAppendTime readers go by the batch's time instead. */
  timestamp: number
  /** A view of the block. */
  key: Uint8Array | null
  /** It has no value: its key is to be forgotten. */
  isTombstone: boolean
  /** The record in the block, its length included. */
  from: number
  to: number
  /** Where the offset delta begins, behind length, attributes and timestamp delta. */
  bodyFrom: number
}

export class RecordCursor {
  readonly #header: BatchHeader
  readonly #block: Uint8Array
  readonly #reader: Reader
  #left: number

  /** Throws MalformedError, as `next` does, where the bytes do not add up. */
  constructor(header: BatchHeader, block: Uint8Array) {
    if (header.recordCount * RECORD_BYTES_MIN > block.length) {
      throw new MalformedError(`${header.recordCount} records cannot fit in ${block.length} bytes`)
    }
    this.#header = header
    this.#block = block
    this.#reader = new Reader(block)
    this.#left = header.recordCount
  }

  next(): PlacedRecord | undefined {
    if (this.#left === 0) return undefined
    this.#left--
    const { baseOffset, baseTimestamp, lastOffsetDelta } = this.#header
    const reader = this.#reader
    const from = reader.position
    const size = reader.varint()
    const to = reader.position + size
    if (size < RECORD_BYTES_MIN - 1 || to > this.#block.length) {
      throw new MalformedError(`the record at byte ${from} declares ${size} bytes`)
    }
    reader.skip(1)
    const timestamp = baseTimestamp + reader.varlong()
    const bodyFrom = reader.position
    const offsetDelta = reader.varint()
    if (offsetDelta < 0 || offsetDelta > lastOffsetDelta) {
      throw new MalformedError(`the record at byte ${from} has the offset delta ${offsetDelta} of ${lastOffsetDelta}`)
    }
    const keyBytes = reader.varint()
    const key = keyBytes === -1 ? null : reader.bytes(keyBytes)
    const isTombstone = reader.varint() === -1 && key !== null
    if (reader.position > to) throw new MalformedError(`the record at byte ${from} is longer than it declares`)
    reader.position = to
    return { offset: baseOffset + offsetDelta, timestamp, key, isTombstone, from, to, bodyFrom }
  }
}
