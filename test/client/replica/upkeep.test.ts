import { expect, test } from 'vitest'
import { checkFrame, chunkBelow } from '../../../client/replica/frame-check.ts'
import type { ChunkRow } from '../../../client/replica/store.ts'
import { isTrimDue, planMerge, planTrim } from '../../../client/replica/upkeep.ts'
import { concatenate } from '../../../protocol/compression.ts'
import type { Deliver } from '../../../protocol/messages/offset-protocol.ts'
import { viewOf, writeBaseOffset, writeLeaderEpoch } from '../../../protocol/record-batch.ts'
import { encodeBatch } from '../../../protocol/records.ts'
import { chunk, position } from '../../contract/replica-store.ts'

const KIB = 1024

function batch(baseOffset: number, count: number, epoch = 1): Uint8Array {
  const records = Array.from({ length: count }, () => ({ key: null, value: new Uint8Array(5), timestamp: 7 }))
  const bytes = encodeBatch(records)
  writeBaseOffset(viewOf(bytes), 0, baseOffset)
  writeLeaderEpoch(viewOf(bytes), 0, epoch)
  return bytes
}

const check = (records: Uint8Array, held: number, nextOffset: number, aborted: Deliver['aborted'] = []) =>
  checkFrame({ records, aborted, nextOffset }, held)

test('a frame becomes a row of its own bytes, without what is held already', () => {
  const frame = concatenate([batch(0, 10), batch(10, 5, 2), batch(20, 5, 3)])
  const message = concatenate([new Uint8Array(72), frame])
  const checked = check(message.subarray(72), 12, 25)
  expect(checked).toMatchObject({
    fault: null,
    leaderEpoch: 3,
    chunks: [{ baseOffset: 10, nextOffset: 25, maxTimestamp: 7 }],
  })
  const [row] = checked.chunks
  expect(row!.bytes.buffer.byteLength).toBe(row!.bytes.length)
  expect(check(frame, 25, 25)).toEqual({ fault: null, chunks: [], leaderEpoch: null })
  expect(check(new Uint8Array(), 3, 9)).toEqual({ fault: null, chunks: [], leaderEpoch: null })
})

/** Records enough for a batch of about that size. */
const sized = (baseOffset: number, sizeBytes: number) => {
  const value = new Uint8Array(sizeBytes - 80)
  const bytes = encodeBatch([{ key: null, value, timestamp: baseOffset }])
  writeBaseOffset(viewOf(bytes), 0, baseOffset)
  return bytes
}

test('[REP-18] a large frame is cut between batches into rows that fit a database page, about as large each', () => {
  const frame = concatenate(Array.from({ length: 32 }, (_, offset) => sized(offset, 16 * KIB)))
  const aborted = [{ producerId: 1, firstOffset: 4, lastOffset: 4 }]
  const { chunks } = check(frame, 0, 32, aborted)
  expect(Buffer.compare(concatenate(chunks.map(({ bytes }) => bytes)), frame)).toBe(0)
  expect(chunks.map(({ baseOffset }) => baseOffset)).toEqual([0, 3, 6, 9, 12, 15, 18, 21, 24, 27, 30])
  expect(chunks.map(({ nextOffset }) => nextOffset)).toEqual([3, 6, 9, 12, 15, 18, 21, 24, 27, 30, 32])
  expect(chunks.map(({ maxTimestamp }) => maxTimestamp)).toEqual(chunks.map(({ nextOffset }) => nextOffset - 1))
  expect(chunks.map((row) => row.aborted?.length ?? 0)).toEqual([0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0])
  const fine = concatenate(Array.from({ length: 1_000 }, (_, offset) => sized(offset, 130)))
  const sizes = check(fine, 0, 1_000).chunks.map(({ bytes }) => bytes.length)
  expect(Math.max(...sizes)).toBeLessThan(60 * KIB)
  expect(Math.min(...sizes)).toBeGreaterThan(40 * KIB)
})

test('[REP-18] a batch that needs a file of its own takes the whole frame into it', () => {
  const frame = concatenate([sized(0, KIB), sized(1, 100 * KIB), sized(2, KIB)])
  expect(check(frame, 0, 3).chunks).toMatchObject([{ baseOffset: 0, nextOffset: 3 }])
})

test('[REP-4] a frame that is cut off, flipped at any checked byte or out of order is refused whole', () => {
  const frame = concatenate([batch(0, 2), batch(2, 2)])
  for (let length = 1; length < frame.length; length++) {
    const isWholeBatch = length === batch(0, 2).length
    expect(check(frame.subarray(0, length), 0, 4).fault === null, `${length} bytes`).toBe(isWholeBatch)
  }
  for (let at = 17; at < batch(0, 2).length; at++) {
    const flipped = frame.slice()
    flipped[at]! ^= 0x10
    expect(check(flipped, 0, 4).fault, `byte ${at}`).not.toBeNull()
  }
  expect(check(concatenate([batch(2, 2), batch(0, 2)]), 0, 4).fault).toMatch(/order/)
  expect(check(batch(0, 10), 0, 9).fault).toMatch(/order/)
})

test('a chunk is cut between batches, with the epoch of the last one kept', () => {
  const row: ChunkRow = { ...chunk(0, 25), bytes: concatenate([batch(0, 10, 1), batch(10, 5, 2), batch(20, 5, 3)]) }
  expect(chunkBelow(row, 20)).toMatchObject({ leaderEpoch: 2, chunk: { baseOffset: 0, nextOffset: 15 } })
  expect(chunkBelow(row, 14)).toMatchObject({ leaderEpoch: 1, chunk: { nextOffset: 10 } })
  expect(chunkBelow(row, 9)).toBeNull()
})

test('[REP-10] small neighbours become rows of 8 to 60 KiB; the unfinished tail is merged too and stays open', () => {
  const rows = Array.from({ length: 100 }, (_, index) => chunk(index, index + 1, KIB))
  const plan = planMerge(position(100), rows)!
  expect(plan.chunks.map(({ baseOffset, nextOffset }) => [baseOffset, nextOffset])).toEqual([
    [0, 60],
    [60, 100],
  ])
  expect(plan).toMatchObject({ fromOffset: 0, toOffset: 100, position: { mergedUpTo: 100 } })
  const short = planMerge(position(65), rows.slice(0, 65))!
  expect(short.chunks).toHaveLength(2)
  expect(short.position.mergedUpTo).toBe(60)
})

test('large rows, those of a bulk delivery too, are passed over and never rewritten', () => {
  const large = [chunk(0, 10, 300 * KIB), chunk(10, 20, 9 * KIB)]
  expect(planMerge(position(20), large)).toMatchObject({ chunks: [], fromOffset: 20, position: { mergedUpTo: 20 } })
  const mixed = [...large, chunk(20, 21, KIB), chunk(21, 22, KIB)]
  expect(planMerge(position(22), mixed)).toMatchObject({
    fromOffset: 20,
    chunks: [{ baseOffset: 20, nextOffset: 22 }],
    position: { mergedUpTo: 20 },
  })
  expect(planMerge(position(22, { mergedUpTo: 20 }), [chunk(20, 22, KIB)])).toBeNull()
  expect(planMerge(position(22), [])).toBeNull()
})

const NO_TABLE = Number.POSITIVE_INFINITY
const limits = { nowMs: 100_000, dropBytes: 0, takenIn: NO_TABLE }
const tens = () => Array.from({ length: 10 }, (_, index) => chunk(index * 10, index * 10 + 10, 100))

test('[REP-9] a policy drops whole chunks from the front, never the newest', () => {
  const full = position(100, { sizeBytes: 1_000 })
  const start = (policy: object, more = limits) => planTrim(full, tens(), { policy, ...more })?.position.start
  expect(start({})).toBeUndefined()
  expect(start({ lastRecords: 35 })).toBe(60)
  expect(start({ sizeBytesMax: 450 })).toBe(60)
  expect(start({ sizeBytesMax: 0 })).toBe(90)
  // A chunk's largest timestamp is a second for each offset.
  expect(start({ ageMsMax: 60_000 })).toBe(30)
  expect(start({ lastRecords: 35, sizeBytesMax: 250 })).toBe(80)
  expect(start({}, { ...limits, nowMs: 0, dropBytes: 250 })).toBe(30)
  expect(planTrim(full, tens(), { policy: { lastRecords: 35 }, ...limits })?.position.sizeBytes).toBe(400)
  expect(start({ lastRecords: 35 }, { ...limits, takenIn: 45 })).toBe(40)
  expect(start({ onlyForTable: true }, { ...limits, takenIn: 45 })).toBe(40)
  expect(start({ onlyForTable: true }, { ...limits, takenIn: 0, dropBytes: 500 })).toBeUndefined()
})

test('looking for what to drop is put off until it is worth it', () => {
  expect(isTrimDue(position(1_500), { lastRecords: 500 }, NO_TABLE)).toBe(false)
  expect(isTrimDue(position(1_600), { lastRecords: 500 }, NO_TABLE)).toBe(true)
  expect(isTrimDue(position(9, { sizeBytes: 1_040 }), { sizeBytesMax: 1_000 }, NO_TABLE)).toBe(false)
  expect(isTrimDue(position(9, { sizeBytes: 1_060 }), { sizeBytesMax: 1_000 }, NO_TABLE)).toBe(true)
  expect(isTrimDue(position(1_000_000), {}, NO_TABLE)).toBe(false)
  expect(isTrimDue(position(9, { sizeBytes: 2 ** 21 }), { onlyForTable: true }, 0)).toBe(false)
  expect(isTrimDue(position(9, { sizeBytes: 2 ** 21 }), { onlyForTable: true }, 5)).toBe(true)
})
