/**
 * Kafka's RecordBatch v2: the only form in which records exist, on the wire, on disk and in the browser.
 *
 *   at  field                    covered by the CRC
 *    0  baseOffset      int64    no   the log overwrites it
 *    8  batchLength     int32    no   bytes that follow this field
 *   12  leaderEpoch     int32    no   the log overwrites it
 *   16  magic           int8     no   always 2
 *   17  crc             uint32   -    CRC-32C over everything from 21 to the end
 *   21  attributes      int16    yes  0-2 codec, 3 log append time, 4 transactional, 5 control, 6 delete horizon
 *   23  lastOffsetDelta int32    yes  baseOffset + this = last offset, also after compaction took records out
 *   27  baseTimestamp   int64    yes
 *   35  maxTimestamp    int64    yes
 *   43  producerId      int64    yes  51 producerEpoch int16, 53 baseSequence int32 (-1 when there is none)
 *   57  recordCount     int32    yes
 *   61  records                  yes  compressed as one block when the codec is not 0
 *
 * Offset and epoch lie outside the checksum, so a log can place a batch without touching what the producer signed.
 * Source: Kafka's message format documentation; KIP-98, KIP-32.
 */
import type { Crc32c } from './bytes/crc32c.ts'
import { crc32c as crc32cInScript } from './bytes/crc32c.ts'
import { MalformedError } from './bytes/reader.ts'

export const BATCH_HEADER_BYTES = 61
/** Bytes before what `batchLength` counts: baseOffset and batchLength itself. */
export const BATCH_OVERHEAD_BYTES = 12
export const BATCH_MAGIC = 2
export const NO_PRODUCER_ID = -1
export const NO_SEQUENCE = -1
export const NO_TIMESTAMP = -1

const AT_BATCH_LENGTH = 8
const AT_LEADER_EPOCH = 12
const AT_MAGIC = 16
const AT_CRC = 17
/** The checksum covers everything from here on. */
export const CRC_COVERS_FROM = 21
const AT_ATTRIBUTES = 21
const AT_LAST_OFFSET_DELTA = 23
const AT_BASE_TIMESTAMP = 27
const AT_MAX_TIMESTAMP = 35
const AT_PRODUCER_ID = 43
const AT_PRODUCER_EPOCH = 51
const AT_BASE_SEQUENCE = 53
const AT_RECORD_COUNT = 57

const CODEC_MASK = 0x07
const LOG_APPEND_TIME_FLAG = 0x08
export const TRANSACTIONAL_FLAG = 0x10
export const CONTROL_FLAG = 0x20
const DELETE_HORIZON_FLAG = 0x40
const TWO_TO_32 = 4_294_967_296
const SEQUENCE_SPAN = 2_147_483_648

export type CodecId = 0 | 1 | 2 | 3 | 4

export interface BatchHeader {
  baseOffset: number
  /** The whole batch, the 12 bytes of offset and length included. */
  sizeBytes: number
  leaderEpoch: number
  magic: number
  crc: number
  attributes: number
  lastOffsetDelta: number
  baseTimestamp: number
  maxTimestamp: number
  producerId: number
  producerEpoch: number
  baseSequence: number
  recordCount: number
}

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

function readInt64(view: DataView, at: number): number {
  return view.getInt32(at) * TWO_TO_32 + view.getUint32(at + 4)
}

function writeInt64(view: DataView, at: number, value: number): void {
  view.setInt32(at, Math.floor(value / TWO_TO_32))
  view.setUint32(at + 4, value >>> 0)
}

/** Reads the 61 bytes at `at`. Checks nothing but that they are there; see `checkBatch`. */
export function readBatchHeader(view: DataView, at = 0): BatchHeader {
  if (view.byteLength - at < BATCH_HEADER_BYTES) {
    throw new MalformedError(
      `a batch header has ${BATCH_HEADER_BYTES} bytes, ${view.byteLength - at} are left at ${at}`,
    )
  }
  return {
    baseOffset: readInt64(view, at),
    sizeBytes: view.getInt32(at + AT_BATCH_LENGTH) + BATCH_OVERHEAD_BYTES,
    leaderEpoch: view.getInt32(at + AT_LEADER_EPOCH),
    magic: view.getInt8(at + AT_MAGIC),
    crc: view.getUint32(at + AT_CRC),
    attributes: view.getInt16(at + AT_ATTRIBUTES),
    lastOffsetDelta: view.getInt32(at + AT_LAST_OFFSET_DELTA),
    baseTimestamp: readInt64(view, at + AT_BASE_TIMESTAMP),
    maxTimestamp: readInt64(view, at + AT_MAX_TIMESTAMP),
    producerId: readInt64(view, at + AT_PRODUCER_ID),
    producerEpoch: view.getInt16(at + AT_PRODUCER_EPOCH),
    baseSequence: view.getInt32(at + AT_BASE_SEQUENCE),
    recordCount: view.getInt32(at + AT_RECORD_COUNT),
  }
}

/** The size that the batch at `at` declares. Needs 12 bytes. May be nonsense: compare it with what is there. */
export const batchSizeAt = (view: DataView, at: number): number =>
  view.getInt32(at + AT_BATCH_LENGTH) + BATCH_OVERHEAD_BYTES
export const baseOffsetAt = (view: DataView, at: number): number => readInt64(view, at)
/** The offset after the last one of the batch at `at`. Needs 27 bytes. */
export const nextOffsetAt = (view: DataView, at: number): number =>
  readInt64(view, at) + view.getInt32(at + AT_LAST_OFFSET_DELTA) + 1

export const lastOffsetOf = (header: BatchHeader): number => header.baseOffset + header.lastOffsetDelta
export const nextOffsetOf = (header: BatchHeader): number => header.baseOffset + header.lastOffsetDelta + 1
export const codecOf = (header: BatchHeader): CodecId => (header.attributes & CODEC_MASK) as CodecId
export const isTransactional = (header: BatchHeader): boolean => (header.attributes & TRANSACTIONAL_FLAG) !== 0
/** The same of a batch that nobody has checked yet. */
export const saysTransactional = (batch: Uint8Array): boolean =>
  batch.length >= BATCH_HEADER_BYTES && (viewOf(batch).getInt16(AT_ATTRIBUTES) & TRANSACTIONAL_FLAG) !== 0
export const isControl = (header: BatchHeader): boolean => (header.attributes & CONTROL_FLAG) !== 0
export const hasLogAppendTime = (header: BatchHeader): boolean => (header.attributes & LOG_APPEND_TIME_FLAG) !== 0
/** KIP-534: the base timestamp says from when on tombstones and markers in this batch may go. */
export const hasDeleteHorizon = (header: BatchHeader): boolean => (header.attributes & DELETE_HORIZON_FLAG) !== 0
export const setDeleteHorizon = (attributes: number, isSet: boolean): number =>
  isSet ? attributes | DELETE_HORIZON_FLAG : attributes & ~DELETE_HORIZON_FLAG
export const withoutCodec = (attributes: number): number => attributes & ~CODEC_MASK
export const withoutTransaction = (attributes: number): number => attributes & ~TRANSACTIONAL_FLAG
export const hasProducer = (header: BatchHeader): boolean => header.producerId >= 0

/** Sequence numbers count records and wrap from 2^31-1 to 0. */
export function sequenceAfter(sequence: number, count: number): number {
  return (sequence + count) % SEQUENCE_SPAN
}
export const lastSequenceOf = (header: BatchHeader): number =>
  header.baseSequence < 0 ? NO_SEQUENCE : sequenceAfter(header.baseSequence, header.lastOffsetDelta)

export function writeBaseOffset(view: DataView, at: number, offset: number): void {
  writeInt64(view, at, offset)
}

export function writeLeaderEpoch(view: DataView, at: number, epoch: number): void {
  view.setInt32(at + AT_LEADER_EPOCH, epoch)
}

/** What the checksum of the batch at `at` should be. */
export function computeBatchCrc(
  bytes: Uint8Array,
  at: number,
  sizeBytes: number,
  crc32c: Crc32c = crc32cInScript,
): number {
  return crc32c(bytes, at + CRC_COVERS_FROM, at + sizeBytes)
}

/** Writes the checksum that belongs to the batch's present bytes. */
export function sealBatch(batch: Uint8Array, crc32c: Crc32c = crc32cInScript): void {
  viewOf(batch).setUint32(AT_CRC, crc32c(batch, CRC_COVERS_FROM, batch.length))
}

/**
 * Makes a batch idempotent: the triple by which a log recognises it when it comes a second time (KIP-98). With
 * `isTransactional` it becomes part of the producer's transaction.
 */
export function stampProducer(
  batch: Uint8Array,
  stamp: { producerId: number; producerEpoch: number; baseSequence: number; isTransactional?: boolean },
  crc32c: Crc32c = crc32cInScript,
): void {
  const view = viewOf(batch)
  if (stamp.isTransactional) view.setInt16(AT_ATTRIBUTES, view.getInt16(AT_ATTRIBUTES) | TRANSACTIONAL_FLAG)
  writeInt64(view, AT_PRODUCER_ID, stamp.producerId)
  view.setInt16(AT_PRODUCER_EPOCH, stamp.producerEpoch)
  view.setInt32(AT_BASE_SEQUENCE, stamp.baseSequence)
  sealBatch(batch, crc32c)
}

/** For topics with `message.timestamp.type=LogAppendTime`: every record then has the batch's max timestamp (KIP-32). */
export function stampLogAppendTime(batch: Uint8Array, timestampMs: number, crc32c: Crc32c = crc32cInScript): void {
  const view = viewOf(batch)
  view.setInt16(AT_ATTRIBUTES, view.getInt16(AT_ATTRIBUTES) | LOG_APPEND_TIME_FLAG)
  writeInt64(view, AT_MAX_TIMESTAMP, timestampMs)
  sealBatch(batch, crc32c)
}

/** Fills in the 61 bytes and the checksum. `batch` already holds the records behind them. */
export function writeBatchHeader(
  batch: Uint8Array,
  header: Omit<BatchHeader, 'sizeBytes' | 'crc' | 'magic'>,
  crc32c: Crc32c = crc32cInScript,
): void {
  const view = viewOf(batch)
  writeInt64(view, 0, header.baseOffset)
  view.setInt32(AT_BATCH_LENGTH, batch.length - BATCH_OVERHEAD_BYTES)
  view.setInt32(AT_LEADER_EPOCH, header.leaderEpoch)
  view.setInt8(AT_MAGIC, BATCH_MAGIC)
  view.setInt16(AT_ATTRIBUTES, header.attributes)
  view.setInt32(AT_LAST_OFFSET_DELTA, header.lastOffsetDelta)
  writeInt64(view, AT_BASE_TIMESTAMP, header.baseTimestamp)
  writeInt64(view, AT_MAX_TIMESTAMP, header.maxTimestamp)
  writeInt64(view, AT_PRODUCER_ID, header.producerId)
  view.setInt16(AT_PRODUCER_EPOCH, header.producerEpoch)
  view.setInt32(AT_BASE_SEQUENCE, header.baseSequence)
  view.setInt32(AT_RECORD_COUNT, header.recordCount)
  sealBatch(batch, crc32c)
}

export type BatchFault = 'short' | 'zero' | 'size' | 'magic' | 'crc' | 'fields'

/**
 * Is there a whole, undamaged batch at `at`? Checks in the order in which each field may be trusted: length, magic,
 * checksum, then the rest. Returns undefined when all is well.
 *
 * `zero` means that the bytes are those of a file extended ahead of its data: an end, not damage.
 */
export function findBatchFault(
  bytes: Uint8Array,
  view: DataView,
  at: number,
  crc32c: Crc32c = crc32cInScript,
  limitBytes = Number.POSITIVE_INFINITY,
): BatchFault | undefined {
  const left = view.byteLength - at
  if (left < BATCH_OVERHEAD_BYTES) return 'short'
  const sizeBytes = batchSizeAt(view, at)
  if (sizeBytes === BATCH_OVERHEAD_BYTES && readInt64(view, at) === 0) return 'zero'
  if (sizeBytes < BATCH_HEADER_BYTES || sizeBytes > limitBytes) return 'size'
  if (sizeBytes > left) return 'short'
  if (view.getInt8(at + AT_MAGIC) !== BATCH_MAGIC) return 'magic'
  if (view.getUint32(at + AT_CRC) !== computeBatchCrc(bytes, at, sizeBytes, crc32c)) return 'crc'
  if (view.getInt32(at + AT_LAST_OFFSET_DELTA) < 0 || view.getInt32(at + AT_RECORD_COUNT) < 0) return 'fields'
  return undefined
}

/** The whole batches at the start of `bytes`: where each begins and ends. A cut-off last one is left out. */
export function* batchesIn(bytes: Uint8Array): Generator<{ at: number; end: number; header: BatchHeader }> {
  const view = viewOf(bytes)
  let at = 0
  while (bytes.length - at >= BATCH_HEADER_BYTES) {
    const header = readBatchHeader(view, at)
    if (header.magic !== BATCH_MAGIC || header.sizeBytes < BATCH_HEADER_BYTES) {
      throw new MalformedError(
        `no record batch of format 2 at byte ${at}: magic ${header.magic}, ${header.sizeBytes} bytes`,
      )
    }
    const end = at + header.sizeBytes
    if (end > bytes.length) return
    yield { at, end, header }
    at = end
  }
}
