/**
 * What a batch must be before it gets an offset (Kafka's checks on Produce): exactly one batch, format 2, whole, with the
 * checksum that it declares, with as many records as offsets, no control batch, not too large, not from the future.
 */
import { KafkaError } from '../../protocol/errors.ts'
import type { BatchHeader } from '../../protocol/record-batch.ts'
import {
  BATCH_HEADER_BYTES,
  BATCH_MAGIC,
  computeBatchCrc,
  isControl,
  isTransactional,
  readBatchHeader,
  viewOf,
} from '../../protocol/record-batch.ts'
import { logCrc32c } from './checksum.ts'
import type { LogConfig } from './log-config.ts'

/** Reads the header and throws a KafkaError that says what is wrong, with value and limit. */
export function checkBatch(batch: Uint8Array, config: LogConfig, nowMs: number): BatchHeader {
  if (batch.length < BATCH_HEADER_BYTES) {
    throw new KafkaError('CORRUPT_MESSAGE', `${batch.length} bytes are no record batch: its header alone has 61`)
  }
  const header = readBatchHeader(viewOf(batch))
  if (header.magic !== BATCH_MAGIC) {
    throw new KafkaError('INVALID_RECORD', `record batches have format 2 here, this one has format ${header.magic}`)
  }
  checkSize(batch, header, config)
  const crc = computeBatchCrc(batch, 0, batch.length, logCrc32c)
  if (crc !== header.crc) {
    throw new KafkaError('CORRUPT_MESSAGE', `the batch has checksum ${crc}, but declares ${header.crc}`)
  }
  checkContent(header)
  checkTimestamps(header, config, nowMs)
  return header
}

function checkSize(batch: Uint8Array, header: BatchHeader, config: LogConfig): void {
  if (header.sizeBytes < batch.length && header.sizeBytes >= BATCH_HEADER_BYTES) {
    throw new KafkaError(
      'INVALID_RECORD',
      `one batch per partition, ${batch.length - header.sizeBytes} bytes follow it`,
    )
  }
  if (header.sizeBytes !== batch.length) {
    throw new KafkaError('CORRUPT_MESSAGE', `the batch declares ${header.sizeBytes} bytes and has ${batch.length}`)
  }
  if (batch.length > config.maxMessageBytes) {
    throw new KafkaError(
      'MESSAGE_TOO_LARGE',
      `the batch has ${batch.length} bytes; max.message.bytes is ${config.maxMessageBytes}`,
    )
  }
}

function checkContent(header: BatchHeader): void {
  if (header.recordCount < 1 || header.recordCount !== header.lastOffsetDelta + 1) {
    throw new KafkaError(
      'INVALID_RECORD',
      `the batch declares ${header.recordCount} records and a last offset delta of ${header.lastOffsetDelta}`,
    )
  }
  if (isControl(header)) throw new KafkaError('INVALID_RECORD', 'control batches are written by the relay alone')
  if (isTransactional(header) && header.producerId < 0) {
    throw new KafkaError('INVALID_RECORD', 'a transactional batch needs a producer id')
  }
  if (header.producerId >= 0 && (header.baseSequence < 0 || header.producerEpoch < 0)) {
    throw new KafkaError(
      'INVALID_RECORD',
      `producer ${header.producerId} needs an epoch and a sequence, not ${header.producerEpoch} and ${header.baseSequence}`,
    )
  }
}

function checkTimestamps(header: BatchHeader, config: LogConfig, nowMs: number): void {
  if (config.messageTimestampType === 'LogAppendTime') return
  const aheadMs = Math.max(header.baseTimestamp, header.maxTimestamp) - nowMs
  if (aheadMs > config.messageTimestampAfterMaxMs) {
    throw new KafkaError(
      'INVALID_TIMESTAMP',
      `the batch is ${aheadMs} ms ahead of the relay's clock; ` +
        `message.timestamp.after.max.ms is ${config.messageTimestampAfterMaxMs}`,
    )
  }
}
