/**
 * What becomes of a batch from which records are taken out. Base offset, last offset, producer and codec stay as they were.
 *
 *  - rebuilt: the records that are left, re-encoded only where the batch's base timestamp changes
 *  - emptied: only the header, when records are all gone and a producer's sequence still hangs on it
 *  - gap: an empty batch without a producer, in the place of all that is gone between two others
 *
 * So every offset of a segment belongs to exactly one batch, as before, and a wrong base offset is still noticed.
 */
import { MalformedError } from '../../../protocol/bytes/reader.ts'
import { Writer } from '../../../protocol/bytes/writer.ts'
import type { CodecRegistry } from '../../../protocol/compression.ts'
import {
  BATCH_HEADER_BYTES,
  type BatchHeader,
  codecOf,
  hasDeleteHorizon,
  hasLogAppendTime,
  NO_PRODUCER_ID,
  NO_SEQUENCE,
  NO_TIMESTAMP,
  setDeleteHorizon,
  withoutCodec,
  withoutTransaction,
  writeBatchHeader,
} from '../../../protocol/record-batch.ts'
import { varlongSize } from '../../../protocol/records.ts'
import { logCrc32c } from '../checksum.ts'
import type { PlacedRecord } from './record-cursor.ts'

export interface KeptRecords {
  header: BatchHeader
  block: Uint8Array
  /** Not empty. */
  records: readonly PlacedRecord[]
  /** When tombstones and markers in it may go; undefined when there are none. */
  horizonMs: number | undefined
}

export async function rebuildBatch(kept: KeptRecords, codecs: CodecRegistry): Promise<Uint8Array> {
  const { header, records, horizonMs } = kept
  const baseTimestamp = horizonMs ?? (hasDeleteHorizon(header) ? records[0]!.timestamp : header.baseTimestamp)
  const block = joinRecords(kept, baseTimestamp)
  const codecId = codecOf(header)
  const stored = codecId === 0 ? block : await (await codecs.find(codecId)).compress!(block)
  const batch = new Uint8Array(BATCH_HEADER_BYTES + stored.length)
  batch.set(stored, BATCH_HEADER_BYTES)
  const newest = records.reduce((most, record) => Math.max(most, record.timestamp), NO_TIMESTAMP)
  const rebuilt = {
    ...header,
    attributes: setDeleteHorizon(header.attributes, horizonMs !== undefined),
    baseTimestamp,
    maxTimestamp: hasLogAppendTime(header) ? header.maxTimestamp : newest,
    recordCount: records.length,
  }
  writeBatchHeader(batch, rebuilt, logCrc32c)
  return batch
}

function joinRecords({ header, block, records }: KeptRecords, baseTimestamp: number): Uint8Array {
  const writer = new Writer(block.length + records.length)
  for (const { from, to, bodyFrom, timestamp } of records) {
    if (baseTimestamp === header.baseTimestamp) {
      writer.bytes(block.subarray(from, to))
      continue
    }
    const delta = timestamp - baseTimestamp
    if (!Number.isSafeInteger(timestamp) || !Number.isSafeInteger(delta)) {
      throw new MalformedError(`the timestamp ${timestamp} can't be moved`)
    }
    writer.varint(1 + varlongSize(delta) + to - bodyFrom)
    writer.int8(0)
    writer.varlong(delta)
    writer.bytes(block.subarray(bodyFrom, to))
  }
  return writer.finish()
}

/**
 * Keeps the largest timestamp: what is known of the producer says when it wrote last. Its transaction is decided, and the
 * marker that says so may go before this does: from here on it belongs to none.
 */
export function emptiedBatch(header: BatchHeader): Uint8Array {
  const batch = new Uint8Array(BATCH_HEADER_BYTES)
  const attributes = withoutTransaction(setDeleteHorizon(withoutCodec(header.attributes), false))
  writeBatchHeader(batch, { ...header, attributes, baseTimestamp: NO_TIMESTAMP, recordCount: 0 }, logCrc32c)
  return batch
}

/** The offsets from `baseOffset` to before `endOffset` hold nothing any more. */
export function gapBatch(baseOffset: number, endOffset: number, leaderEpoch: number): Uint8Array {
  const batch = new Uint8Array(BATCH_HEADER_BYTES)
  const header = {
    ...{ baseOffset, leaderEpoch, attributes: 0, lastOffsetDelta: endOffset - baseOffset - 1 },
    ...{ baseTimestamp: NO_TIMESTAMP, maxTimestamp: NO_TIMESTAMP, recordCount: 0 },
    ...{ producerId: NO_PRODUCER_ID, producerEpoch: -1, baseSequence: NO_SEQUENCE },
  }
  writeBatchHeader(batch, header, logCrc32c)
  return batch
}
