import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { crc32c } from '../../protocol/bytes/crc32c.ts'
import { MalformedError, Reader } from '../../protocol/bytes/reader.ts'
import { Writer } from '../../protocol/bytes/writer.ts'
import { gzip } from '../../protocol/compression.ts'
import {
  BATCH_HEADER_BYTES,
  batchesIn,
  findBatchFault,
  readBatchHeader,
  sequenceAfter,
  stampLogAppendTime,
  stampProducer,
  viewOf,
} from '../../protocol/record-batch.ts'
import {
  compressBatch,
  decodeRecords,
  encodeBatch,
  joinRecords,
  type RecordInput,
  splitBatch,
} from '../../protocol/records.ts'

const utf8 = (text: string) => new TextEncoder().encode(text)
const recordsOf = (batch: Uint8Array) => [
  ...decodeRecords(readBatchHeader(viewOf(batch)), batch.subarray(BATCH_HEADER_BYTES)),
]

const blob = fc.option(fc.uint8Array({ maxLength: 300 }), { nil: null })
const anyRecord: fc.Arbitrary<RecordInput> = fc.record({
  key: blob,
  value: blob,
  headers: fc.array(fc.record({ key: fc.string({ maxLength: 20, unit: 'binary' }), value: blob }), { maxLength: 3 }),
  timestamp: fc.integer({ min: 0, max: 4_102_444_800_000 }),
})
const anyRecords = fc.array(anyRecord, { minLength: 1, maxLength: 30 })

describe('integers', () => {
  test('[BAT-1] CRC-32C of the check string is the published one', () => {
    expect(crc32c(utf8('123456789'))).toBe(0xe3069283)
  })

  test('[MSG-10] variable-length integers come back', () => {
    fc.assert(
      fc.property(fc.integer(), fc.maxSafeInteger(), (small, large) => {
        const half = Math.trunc(large / 2) + 0
        const writer = new Writer()
        writer.varint(small)
        writer.varlong(half)
        writer.int64(large)
        const reader = new Reader(writer.finish())
        expect([reader.varint(), reader.varlong(), reader.int64()]).toEqual([small, half, large])
      }),
    )
  })

  test('[BAT-2] sequences wrap from 2^31-1 to 0', () => {
    expect(sequenceAfter(2_147_483_647, 1)).toBe(0)
    expect(sequenceAfter(2_147_483_645, 5)).toBe(2)
  })
})

describe('batches', () => {
  test('[BAT-3] records come back as they were sent', () => {
    fc.assert(
      fc.property(anyRecords, (records) => {
        const batch = encodeBatch(records)
        expect(findBatchFault(batch, viewOf(batch), 0)).toBeUndefined()
        const read = recordsOf(batch)
        expect(read.map(({ offset }) => offset)).toEqual(records.map((_, index) => index))
        expect(read.map(({ key, value, headers, timestamp }) => ({ key, value, headers, timestamp }))).toEqual(
          records.map(({ key, value, headers, timestamp }) => ({ key, value, headers: headers ?? [], timestamp })),
        )
      }),
    )
  })

  test('[BAT-4] splitting and joining changes nothing but the grouping', () => {
    fc.assert(
      fc.property(anyRecords, anyRecords, (first, second) => {
        const joined = joinRecords([...splitBatch(encodeBatch(first)), ...splitBatch(encodeBatch(second))])
        expect(joined).toEqual(encodeBatch([...first, ...second]))
      }),
    )
  })

  test('[BAT-5] a flipped bit anywhere behind the epoch is found', () => {
    const batch = encodeBatch([{ key: utf8('k'), value: utf8('value'), timestamp: 5 }])
    for (let at = 16; at < batch.length; at++) {
      for (let bit = 0; bit < 8; bit++) {
        const damaged = batch.slice()
        damaged[at]! ^= 1 << bit
        expect(findBatchFault(damaged, viewOf(damaged), 0)).toBeDefined()
      }
    }
  })

  test('[BAT-6] zeros are an end, not a batch and not damage', () => {
    const zeros = new Uint8Array(200)
    expect(findBatchFault(zeros, viewOf(zeros), 0)).toBe('zero')
  })

  test('[BAT-7] stamping a producer or an append time keeps the batch valid', () => {
    const batch = encodeBatch([
      { key: null, value: utf8('a'), timestamp: 1 },
      { key: null, value: utf8('b'), timestamp: 2 },
    ])
    stampProducer(batch, { producerId: 4711, producerEpoch: 3, baseSequence: 17 })
    stampLogAppendTime(batch, 99)
    expect(findBatchFault(batch, viewOf(batch), 0)).toBeUndefined()
    expect(readBatchHeader(viewOf(batch))).toMatchObject({
      producerId: 4711,
      producerEpoch: 3,
      baseSequence: 17,
      maxTimestamp: 99,
    })
    expect(recordsOf(batch).map(({ timestamp }) => timestamp)).toEqual([99, 99])
  })

  test('[BAT-8] a compressed batch inflates to the same records, and no further than allowed', async () => {
    const records = Array.from({ length: 50 }, (_, index) => ({
      key: null,
      value: utf8(`value ${index} `.repeat(20)),
      timestamp: index,
    }))
    const plain = encodeBatch(records)
    const packed = await compressBatch(plain, 1, (block) => gzip.compress!(block))
    expect(packed.length).toBeLessThan(plain.length / 3)
    expect(findBatchFault(packed, viewOf(packed), 0)).toBeUndefined()
    const block = await gzip.decompress(packed.subarray(BATCH_HEADER_BYTES), 1_000_000)
    expect([...decodeRecords(readBatchHeader(viewOf(packed)), block)]).toEqual(recordsOf(plain))
    await expect(gzip.decompress(packed.subarray(BATCH_HEADER_BYTES), 1000)).rejects.toThrow(MalformedError)
  })

  test('[BAT-9] a cut-off last batch is left out, whole ones are found', () => {
    const batch = encodeBatch([{ key: null, value: utf8('x'), timestamp: 1 }])
    const two = new Uint8Array([...batch, ...batch, ...batch.subarray(0, 30)])
    expect([...batchesIn(two)].map(({ at }) => at)).toEqual([0, batch.length])
  })

  test('[MSG-11] random bytes as records are read or malformed, never anything else', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.integer({ min: 0, max: 20 }), (block, recordCount) => {
        const header = {
          ...readBatchHeader(viewOf(encodeBatch([{ key: null, value: null, timestamp: 0 }]))),
          recordCount,
        }
        try {
          for (const _ of decodeRecords(header, block));
        } catch (error) {
          expect(error).toBeInstanceOf(MalformedError)
        }
      }),
    )
  })
})
