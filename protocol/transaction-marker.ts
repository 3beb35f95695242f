/**
 * The end of a transaction as it stands in a log: a control batch with one record, written by the relay alone.
 *
 *   key    int16 version 0, int16 type: 0 abort, 1 commit
 *   value  int16 version 0, int32 epoch of the coordinator that decided
 *
 * The batch carries the producer's id and epoch, no sequence, and takes one offset. Source: KIP-98, EndTxnMarker.
 */
import type { Crc32c } from './bytes/crc32c.ts'
import { crc32c as crc32cInScript } from './bytes/crc32c.ts'
import { MalformedError } from './bytes/reader.ts'
import type { BatchHeader } from './record-batch.ts'
import {
  BATCH_HEADER_BYTES,
  CONTROL_FLAG,
  NO_SEQUENCE,
  readBatchHeader,
  TRANSACTIONAL_FLAG,
  viewOf,
  writeBatchHeader,
} from './record-batch.ts'
import { decodeRecords, encodeBatch } from './records.ts'

export type TransactionOutcome = 'commit' | 'abort'

export interface TransactionMarker {
  producerId: number
  producerEpoch: number
  coordinatorEpoch: number
  outcome: TransactionOutcome
}

const TYPE_ABORT = 0
const TYPE_COMMIT = 1
const KEY_BYTES = 4
const VALUE_BYTES = 6

/** The marker as a batch with base offset 0. */
export function encodeMarker(
  marker: TransactionMarker,
  timestampMs: number,
  crc32c: Crc32c = crc32cInScript,
): Uint8Array<ArrayBuffer> {
  const key = new Uint8Array(KEY_BYTES)
  viewOf(key).setInt16(2, marker.outcome === 'commit' ? TYPE_COMMIT : TYPE_ABORT)
  const value = new Uint8Array(VALUE_BYTES)
  viewOf(value).setInt32(2, marker.coordinatorEpoch)
  const batch = encodeBatch([{ key, value, timestamp: timestampMs }], crc32c)
  const { producerId, producerEpoch } = marker
  const attributes = TRANSACTIONAL_FLAG | CONTROL_FLAG
  const header = { ...readBatchHeader(viewOf(batch)), attributes, producerId, producerEpoch, baseSequence: NO_SEQUENCE }
  writeBatchHeader(batch, header, crc32c)
  return batch
}

/**
 * What the control batch at `at` says; undefined when it is not the end of a transaction (Kafka has other control
 * records) or cannot be read.
 */
export function readMarker(bytes: Uint8Array, at: number, header: BatchHeader): TransactionMarker | undefined {
  const record = onlyRecord(header, bytes.subarray(at + BATCH_HEADER_BYTES, at + header.sizeBytes))
  if (!record?.key || record.key.length < KEY_BYTES || !record.value || record.value.length < VALUE_BYTES) {
    return undefined
  }
  const type = viewOf(record.key).getInt16(2)
  if (type !== TYPE_ABORT && type !== TYPE_COMMIT) return undefined
  return {
    producerId: header.producerId,
    producerEpoch: header.producerEpoch,
    coordinatorEpoch: viewOf(record.value).getInt32(2),
    outcome: type === TYPE_COMMIT ? 'commit' : 'abort',
  }
}

function onlyRecord(header: BatchHeader, block: Uint8Array) {
  try {
    return decodeRecords(header, block).next().value
  } catch (error) {
    if (error instanceof MalformedError) return undefined
    throw error
  }
}
