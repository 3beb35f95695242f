/**
 * Records inside a batch: encoding by the producer, decoding by the final reader. Nothing in between looks inside.
 *
 * A record is: varint length, int8 attributes (0), varlong timestamp delta, varint offset delta, varint key length
 * (-1 null), key, varint value length (-1 null), value, varint header count, and per header: varint key length, key,
 * varint value length (-1 null), value.
 */
import type { Crc32c } from './bytes/crc32c.ts'
import { crc32c as crc32cInScript } from './bytes/crc32c.ts'
import { MalformedError, Reader } from './bytes/reader.ts'
import { Writer } from './bytes/writer.ts'
import type { BatchHeader, CodecId } from './record-batch.ts'
import {
  BATCH_HEADER_BYTES,
  codecOf,
  hasLogAppendTime,
  NO_PRODUCER_ID,
  NO_SEQUENCE,
  readBatchHeader,
  viewOf,
  writeBatchHeader,
} from './record-batch.ts'

export interface RecordHeader {
  key: string
  value: Uint8Array | null
}

/** What a producer hands over. */
export interface RecordInput {
  key: Uint8Array | null
  value: Uint8Array | null
  headers?: readonly RecordHeader[]
  /** Milliseconds since the epoch. */
  timestamp: number
}

/** What a reader gets. Key, value and header values are views of the batch. */
export interface RawRecord {
  offset: number
  timestamp: number
  key: Uint8Array | null
  value: Uint8Array | null
  headers: RecordHeader[]
}

const MIN_RECORD_BYTES = 7

function varintSize(value: number): number {
  let raw = ((value << 1) ^ (value >> 31)) >>> 0
  let size = 1
  while (raw > 0x7f) {
    raw >>>= 7
    size++
  }
  return size
}

export function varlongSize(value: number): number {
  let raw = value >= 0 ? value * 2 : -value * 2 - 1
  let size = 1
  while (raw > 0x7f) {
    raw = Math.floor(raw / 128)
    size++
  }
  return size
}

const blobSize = (blob: Uint8Array | null): number => (blob ? varintSize(blob.length) + blob.length : 1)

function writeBlob(writer: Writer, blob: Uint8Array | null): void {
  if (blob === null) return writer.varint(-1)
  writer.varint(blob.length)
  writer.bytes(blob)
}

function writeRecord(writer: Writer, record: RecordInput, offsetDelta: number, timestampDelta: number): void {
  const headers = (record.headers ?? []).map(({ key, value }) => ({ key: Writer.encodeUtf8(key), value }))
  let size =
    1 +
    varlongSize(timestampDelta) +
    varintSize(offsetDelta) +
    blobSize(record.key) +
    blobSize(record.value) +
    varintSize(headers.length)
  for (const header of headers) size += blobSize(header.key) + blobSize(header.value)
  writer.varint(size)
  writer.int8(0)
  writer.varlong(timestampDelta)
  writer.varint(offsetDelta)
  writeBlob(writer, record.key)
  writeBlob(writer, record.value)
  writer.varint(headers.length)
  for (const header of headers) {
    writeBlob(writer, header.key)
    writeBlob(writer, header.value)
  }
}

/** About how many bytes a record takes in a batch; never less than it does take. */
export function recordSizeBound(record: RecordInput): number {
  let size = 35 + (record.key?.length ?? 0) + (record.value?.length ?? 0)
  for (const { key, value } of record.headers ?? []) size += 10 + key.length * 3 + (value?.length ?? 0)
  return size
}

/**
 * Encodes an uncompressed batch with base offset 0 and no producer. Throws a RangeError when there is no record: a
 * batch without records has no last offset.
 */
export function encodeBatch(records: readonly RecordInput[], crc32c: Crc32c = crc32cInScript): Uint8Array<ArrayBuffer> {
  const first = records[0]
  if (!first) throw new RangeError('a batch holds at least one record')
  let sizeHint = BATCH_HEADER_BYTES
  for (const record of records) sizeHint += recordSizeBound(record)
  const writer = new Writer(sizeHint, BATCH_HEADER_BYTES)
  const baseTimestamp = first.timestamp
  let maxTimestamp = baseTimestamp
  records.forEach((record, index) => {
    if (record.timestamp > maxTimestamp) maxTimestamp = record.timestamp
    writeRecord(writer, record, index, record.timestamp - baseTimestamp)
  })
  const batch = writer.finish()
  writeBatchHeader(
    batch,
    unplacedHeader({ recordCount: records.length, baseTimestamp, maxTimestamp, attributes: 0 }),
    crc32c,
  )
  return batch
}

function unplacedHeader(fields: Pick<BatchHeader, 'recordCount' | 'baseTimestamp' | 'maxTimestamp' | 'attributes'>) {
  const { recordCount, baseTimestamp, maxTimestamp, attributes } = fields
  return {
    recordCount,
    baseTimestamp,
    maxTimestamp,
    attributes,
    baseOffset: 0,
    leaderEpoch: -1,
    lastOffsetDelta: recordCount - 1,
    producerId: NO_PRODUCER_ID,
    producerEpoch: -1,
    baseSequence: NO_SEQUENCE,
  }
}

/** The same batch with its records compressed. `compress` gets the records as one block. */
export async function compressBatch(
  batch: Uint8Array,
  codec: Exclude<CodecId, 0>,
  compress: (block: Uint8Array) => Promise<Uint8Array>,
  crc32c: Crc32c = crc32cInScript,
): Promise<Uint8Array<ArrayBuffer>> {
  const header = readBatchHeader(viewOf(batch))
  if (codecOf(header) !== 0) throw new RangeError('the batch is compressed already')
  const block = await compress(batch.subarray(BATCH_HEADER_BYTES))
  const compressed = new Uint8Array(BATCH_HEADER_BYTES + block.length)
  compressed.set(block, BATCH_HEADER_BYTES)
  writeBatchHeader(compressed, { ...header, attributes: header.attributes | codec }, crc32c)
  return compressed
}

/** The records of one uncompressed block, in order. Throws MalformedError where the bytes do not add up. */
export function* decodeRecords(header: BatchHeader, block: Uint8Array): Generator<RawRecord> {
  if (header.recordCount * MIN_RECORD_BYTES > block.length) {
    throw new MalformedError(`${header.recordCount} records cannot fit in ${block.length} bytes`)
  }
  const reader = new Reader(block)
  const appendTime = hasLogAppendTime(header) ? header.maxTimestamp : undefined
  for (let index = 0; index < header.recordCount; index++) {
    const size = reader.varint()
    const end = reader.position + size
    if (size < MIN_RECORD_BYTES - 1 || end > block.length)
      throw new MalformedError(`record ${index} declares ${size} bytes`)
    reader.skip(1)
    const timestamp = header.baseTimestamp + reader.varlong()
    const offset = header.baseOffset + reader.varint()
    const key = readBlob(reader)
    const value = readBlob(reader)
    const headers = readHeaders(reader, end)
    if (reader.position !== end) throw new MalformedError(`record ${index} ends at ${reader.position}, not at ${end}`)
    yield { offset, timestamp: appendTime ?? timestamp, key, value, headers }
  }
}

function readBlob(reader: Reader): Uint8Array | null {
  const length = reader.varint()
  return length === -1 ? null : reader.bytes(length)
}

function readHeaders(reader: Reader, end: number): RecordHeader[] {
  const count = reader.varint()
  if (count < 0 || count * 2 > end - reader.position)
    throw new MalformedError(`${count} headers declared at ${reader.position}`)
  const headers: RecordHeader[] = []
  for (let index = 0; index < count; index++) {
    const keyLength = reader.varint()
    if (keyLength < 0) throw new MalformedError(`a header without a key at ${reader.position}`)
    headers.push({ key: reader.utf8(keyLength), value: readBlob(reader) })
  }
  return headers
}

/** One record of an uncompressed block, still encoded, with what is needed to place it in another batch. */
export interface EncodedRecord {
  timestamp: number
  key: Uint8Array | null
  /** Everything behind the offset delta: key, value and headers with their lengths. */
  tail: Uint8Array
}

/** Splits an uncompressed batch into records without decoding values or headers. Throws when it is compressed. */
export function splitBatch(batch: Uint8Array): EncodedRecord[] {
  const header = readBatchHeader(viewOf(batch))
  if (codecOf(header) !== 0) throw new RangeError('a compressed batch cannot be split without inflating it')
  const reader = new Reader(batch, BATCH_HEADER_BYTES, Math.min(batch.length, header.sizeBytes))
  const records: EncodedRecord[] = []
  for (let index = 0; index < header.recordCount; index++) {
    const size = reader.varint()
    const end = reader.position + size
    reader.skip(1)
    const timestamp = header.baseTimestamp + reader.varlong()
    reader.varint()
    const tailFrom = reader.position
    const key = readBlob(reader)
    if (end < reader.position || end > reader.end) throw new MalformedError(`record ${index} declares ${size} bytes`)
    records.push({ timestamp, key, tail: batch.subarray(tailFrom, end) })
    reader.position = end
  }
  return records
}

/** Joins encoded records into one uncompressed batch, in the order given. */
export function joinRecords(
  records: readonly EncodedRecord[],
  crc32c: Crc32c = crc32cInScript,
): Uint8Array<ArrayBuffer> {
  const first = records[0]
  if (!first) throw new RangeError('a batch holds at least one record')
  let sizeHint = BATCH_HEADER_BYTES
  for (const record of records) sizeHint += record.tail.length + 21
  const writer = new Writer(sizeHint, BATCH_HEADER_BYTES)
  const baseTimestamp = first.timestamp
  let maxTimestamp = baseTimestamp
  records.forEach((record, index) => {
    if (record.timestamp > maxTimestamp) maxTimestamp = record.timestamp
    const timestampDelta = record.timestamp - baseTimestamp
    writer.varint(1 + varlongSize(timestampDelta) + varintSize(index) + record.tail.length)
    writer.int8(0)
    writer.varlong(timestampDelta)
    writer.varint(index)
    writer.bytes(record.tail)
  })
  const batch = writer.finish()
  writeBatchHeader(
    batch,
    unplacedHeader({ recordCount: records.length, baseTimestamp, maxTimestamp, attributes: 0 }),
    crc32c,
  )
  return batch
}
