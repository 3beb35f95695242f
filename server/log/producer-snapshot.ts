/**
 * A ProducerTable as bytes: all that is known of producers when the log ended at `endOffset`. A cache of the log while
 * the log holds the batches; the only copy once retention has dropped them, so it is synced before they go.
 *
 *   u32 "OTPT", u32 producers, f64 end offset, then per producer: f64 id, i16 epoch, f64 last append ms,
 *   f64 records seen, i32 coordinator epoch, f64 marker's offset, f64 first offset of the open transaction (-1: none),
 *   f64 when it began, u8 whether the epoch begins at sequence 0, u8 batches, and per batch: i32 first and last
 *   sequence, f64 base and last offset, f64 timestamp; u32 CRC-32C
 *
 * "OTPS" is the form before there were transactions: without the five fields that speak of them.
 */
import { Reader } from '../../protocol/bytes/reader.ts'
import { logCrc32c } from './checksum.ts'
import type { ProducerBatch, ProducerEntry } from './producer-state.ts'
import { ProducerTable } from './producer-state.ts'
import { NO_COORDINATOR_EPOCH } from './producer-transactions.ts'

const MAGIC = 0x4f545054
const MAGIC_WITHOUT_TRANSACTIONS = 0x4f545053
const HEADER_BYTES = 16
const ENTRY_BYTES = 56
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
  view.setInt32(at + 26, entry.coordinatorEpoch)
  view.setFloat64(at + 30, entry.markerOffset)
  view.setFloat64(at + 38, entry.transaction?.firstOffset ?? -1)
  view.setFloat64(at + 46, entry.transaction?.sinceMs ?? -1)
  view.setUint8(at + 54, entry.beginsAtZero ? 1 : 0)
  view.setUint8(at + 55, entry.batches.length)
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
  if (end < HEADER_BYTES || view.getFloat64(8) !== endOffset) return undefined
  const magic = view.getUint32(0)
  const hasTransactions = magic === MAGIC
  if (!hasTransactions && magic !== MAGIC_WITHOUT_TRANSACTIONS) return undefined
  if (view.getUint32(end) !== logCrc32c(bytes, 0, end)) return undefined
  const count = view.getUint32(4)
  const reader = new Reader(bytes, HEADER_BYTES, end)
  const entries: ProducerEntry[] = []
  for (let index = 0; index < count; index++) entries.push(readEntry(reader, hasTransactions))
  const table = new ProducerTable()
  table.restore(entries)
  return table
}

function readEntry(reader: Reader, hasTransactions: boolean): ProducerEntry {
  const known = {
    producerId: reader.float64(),
    epoch: reader.int16(),
    lastAppendMs: reader.float64(),
    recordsSeen: reader.float64(),
  }
  const entry = { ...known, ...(hasTransactions ? readTransaction(reader) : NO_TRANSACTION), batches: [] }
  readBatches(reader, entry.batches)
  return entry
}

const NO_TRANSACTION = {
  coordinatorEpoch: NO_COORDINATOR_EPOCH,
  markerOffset: -1,
  transaction: undefined,
  beginsAtZero: false,
}

function readTransaction(reader: Reader) {
  const coordinatorEpoch = reader.int32()
  const markerOffset = reader.float64()
  const firstOffset = reader.float64()
  const sinceMs = reader.float64()
  const transaction = firstOffset < 0 ? undefined : { firstOffset, sinceMs }
  return { coordinatorEpoch, markerOffset, transaction, beginsAtZero: reader.int8() === 1 }
}

function readBatches(reader: Reader, batches: ProducerBatch[]): void {
  for (let left = reader.int8(); left > 0; left--) {
    batches.push({
      firstSequence: reader.int32(),
      lastSequence: reader.int32(),
      baseOffset: reader.float64(),
      lastOffset: reader.float64(),
      timestampMs: reader.float64(),
    })
  }
}
