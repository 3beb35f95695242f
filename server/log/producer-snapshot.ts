/**
 * A ProducerTable as bytes: all that is known of producers when the log ended at `endOffset`. A cache of the log while
 * the log holds the batches; the only copy once retention has dropped them, so it is synced before they go.
 *
 *   u32 "OTPS", u32 producers, f64 end offset, then per producer: f64 id, i16 epoch, f64 last append ms,
 *   f64 records seen, u8 batches, and per batch: i32 first and last sequence, f64 base and last offset, f64 timestamp;
 *   u32 CRC-32C
 */
import { Reader } from '../../protocol/bytes/reader.ts'
import { logCrc32c } from './checksum.ts'
import type { ProducerBatch, ProducerEntry } from './producer-state.ts'
import { ProducerTable } from './producer-state.ts'

const MAGIC = 0x4f545053
const HEADER_BYTES = 16
const ENTRY_BYTES = 27
const BATCH_BYTES = 32

export function encodeProducerSnapshot(table: ProducerTable, endOffset: number): Uint8Array {
  let sizeBytes = HEADER_BYTES + 4
  for (const entry of table.entries()) sizeBytes += ENTRY_BYTES + entry.batches.length * BATCH_BYTES
  const bytes = new Uint8Array(sizeBytes)
  const view = new DataView(bytes.buffer)
  view.setUint32(0, MAGIC)
  view.setUint32(4, table.size)
  view.setFloat64(8, endOffset)
  let at = HEADER_BYTES
  for (const entry of table.entries()) {
    writeEntry(view, at, entry)
    at += ENTRY_BYTES
    for (const batch of entry.batches) {
      writeBatch(view, at, batch)
      at += BATCH_BYTES
    }
  }
  view.setUint32(at, logCrc32c(bytes, 0, at))
  return bytes
}

function writeEntry(view: DataView, at: number, entry: ProducerEntry): void {
  view.setFloat64(at, entry.producerId)
  view.setInt16(at + 8, entry.epoch)
  view.setFloat64(at + 10, entry.lastAppendMs)
  view.setFloat64(at + 18, entry.recordsSeen)
  view.setUint8(at + 26, entry.batches.length)
}

function writeBatch(view: DataView, at: number, batch: ProducerBatch): void {
  view.setInt32(at, batch.firstSequence)
  view.setInt32(at + 4, batch.lastSequence)
  view.setFloat64(at + 8, batch.baseOffset)
  view.setFloat64(at + 16, batch.lastOffset)
  view.setFloat64(at + 24, batch.timestampMs)
}

/** undefined when the bytes are damaged or were not taken at `endOffset`. */
export function decodeProducerSnapshot(bytes: Uint8Array, endOffset: number): ProducerTable | undefined {
  const end = bytes.length - 4
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (end < HEADER_BYTES || view.getUint32(0) !== MAGIC || view.getFloat64(8) !== endOffset) return undefined
  if (view.getUint32(end) !== logCrc32c(bytes, 0, end)) return undefined
  const count = view.getUint32(4)
  const reader = new Reader(bytes, HEADER_BYTES, end)
  const table = new ProducerTable()
  for (let index = 0; index < count; index++) table.restore(readEntry(reader))
  return table
}

function readEntry(reader: Reader): ProducerEntry {
  const entry: ProducerEntry = {
    producerId: reader.float64(),
    epoch: reader.int16(),
    lastAppendMs: reader.float64(),
    recordsSeen: reader.float64(),
    batches: [],
  }
  for (let left = reader.int8(); left > 0; left--) {
    entry.batches.push({
      firstSequence: reader.int32(),
      lastSequence: reader.int32(),
      baseOffset: reader.float64(),
      lastOffset: reader.float64(),
      timestampMs: reader.float64(),
    })
  }
  return entry
}
