/** Record batches for tests: small to write down, real in their bytes. */

import { BATCH_HEADER_BYTES, batchesIn, stampProducer } from '../../protocol/record-batch.ts'
import { decodeRecords, encodeBatch } from '../../protocol/records.ts'

const encoder = new TextEncoder()
const decoder = new TextDecoder()

/** Before the wall clock of a HandClock, so that nothing is from the future. */
export const TEST_TIMESTAMP = 1_699_999_000_000

export interface TestBatchOptions {
  /** Of the first record; each further one is a millisecond later. */
  timestamp?: number
  producer?: { id: number; epoch?: number; sequence: number; isTransactional?: boolean }
}

/** One batch with a record per value, keys null. */
export function batchOf(values: readonly string[], options: TestBatchOptions = {}): Uint8Array<ArrayBuffer> {
  const timestamp = options.timestamp ?? TEST_TIMESTAMP
  const batch = encodeBatch(
    values.map((value, index) => ({ key: null, value: encoder.encode(value), timestamp: timestamp + index })),
  )
  if (options.producer) {
    const { id, epoch = 0, sequence, isTransactional = false } = options.producer
    stampProducer(batch, { producerId: id, producerEpoch: epoch, baseSequence: sequence, isTransactional })
  }
  return batch
}

/** A batch of exactly one record whose value has `sizeBytes` bytes. */
export const batchOfSize = (sizeBytes: number, options: TestBatchOptions = {}): Uint8Array<ArrayBuffer> =>
  batchOf(['x'.repeat(sizeBytes)], options)

/** The values in some batches with their offsets, as `offset:value`. */
export function valuesIn(bytes: Uint8Array): string[] {
  const values: string[] = []
  for (const { at, end, header } of batchesIn(bytes)) {
    for (const record of decodeRecords(header, bytes.subarray(at + BATCH_HEADER_BYTES, end))) {
      values.push(`${record.offset}:${record.value ? decoder.decode(record.value) : 'null'}`)
    }
  }
  return values
}
