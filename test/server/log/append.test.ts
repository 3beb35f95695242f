import { expect, test } from 'vitest'
import { ErrorCode } from '../../../protocol/errors.ts'
import { HandClock } from '../../../protocol/lib/clock.ts'
import { readBatchHeader, sealBatch, viewOf } from '../../../protocol/record-batch.ts'
import { encodeBatch } from '../../../protocol/records.ts'
import type { LogConfig } from '../../../server/log/partition-log.ts'
import { MemoryFiles } from '../../../server/storage/memory-files.ts'
import { batchOf, batchOfSize, valuesIn } from '../../support/batches.ts'
import { FaultyFiles } from '../../support/faulty-files.ts'
import { appendEach, openLog, valuesFrom } from './log-fixture.ts'

type Change = (batch: Uint8Array, view: DataView) => Uint8Array

function changed(change: Change, values = ['a', 'b']): Uint8Array {
  const batch = batchOf(values)
  return change(batch, viewOf(batch))
}
const sealed = (set: (view: DataView) => void): Change => {
  return (batch, view) => {
    set(view)
    sealBatch(batch)
    return batch
  }
}
const unsealed = (set: (view: DataView) => void): Change => {
  return (batch, view) => {
    set(view)
    return batch
  }
}
function setInt32s(view: DataView, ...fields: Array<[at: number, value: number]>): void {
  for (const [at, value] of fields) view.setInt32(at, value)
}
const twice: Change = (batch) => new Uint8Array([...batch, ...batch])

const REFUSED: Array<[what: string, batch: Uint8Array, code: number]> = [
  ['nothing', new Uint8Array(0), ErrorCode.CORRUPT_MESSAGE],
  ['less than a header', changed((batch) => batch.subarray(0, 60)), ErrorCode.CORRUPT_MESSAGE],
  ['a cut batch', changed((batch) => batch.subarray(0, batch.length - 1)), ErrorCode.CORRUPT_MESSAGE],
  ['two batches', changed(twice), ErrorCode.INVALID_RECORD],
  ['format 1', changed(unsealed((view) => view.setInt8(16, 1))), ErrorCode.INVALID_RECORD],
  ['a negative length', changed(unsealed((view) => view.setInt32(8, -5))), ErrorCode.CORRUPT_MESSAGE],
  [
    'a wrong checksum',
    changed(unsealed((view) => view.setUint8(70, view.getUint8(70) ^ 1))),
    ErrorCode.CORRUPT_MESSAGE,
  ],
  ['another record count', changed(sealed((view) => view.setInt32(57, 3))), ErrorCode.INVALID_RECORD],
  ['no records', changed(sealed((view) => setInt32s(view, [57, 0], [23, -1]))), ErrorCode.INVALID_RECORD],
  ['a control batch', changed(sealed((view) => view.setInt16(21, 0x20))), ErrorCode.INVALID_RECORD],
  ['a transaction of nobody', changed(sealed((view) => view.setInt16(21, 0x10))), ErrorCode.INVALID_RECORD],
  [
    'a producer without sequence',
    changed(sealed((view) => setInt32s(view, [43, 0], [47, 9]))),
    ErrorCode.INVALID_RECORD,
  ],
  ['too many bytes', batchOfSize(2000), ErrorCode.MESSAGE_TOO_LARGE],
  ['a record from the future', batchOf(['x'], { timestamp: 1_700_003_600_001 }), ErrorCode.INVALID_TIMESTAMP],
]

test.each(REFUSED)('[LOG-2] refuses %s', async (_, batch, code) => {
  const log = await openLog({ config: { maxMessageBytes: 1000 } })
  expect(() => log.append(batch)).toThrow(expect.objectContaining({ code }))
  expect(log.endOffset).toBe(0)
  await log.close()
})

test('[LOG-3] limits are inclusive: a batch as large, and a record as far ahead, as allowed is taken', async () => {
  const batch = batchOfSize(900, { timestamp: 1_700_003_600_000 })
  const log = await openLog({ config: { maxMessageBytes: batch.length } })
  await log.append(batch).durable
  expect(log.highWatermark).toBe(1)
  await log.close()
})

test('[LOG-4] only base offset and leader epoch change; LogAppendTime stamps the time and a new checksum', async () => {
  const clock = new HandClock()
  const settings: Partial<LogConfig> = {}
  const log = await openLog({ clock, config: settings })
  const sent = batchOf(['a', 'b'])
  const copy = sent.slice()
  await log.append(batchOf(['first'])).durable
  const result = log.append(sent)
  await result.durable
  expect(result).toMatchObject({ baseOffset: 1, logAppendTimeMs: -1 })
  const { bytes } = await log.read(1, 1000)
  expect(bytes.subarray(16)).toEqual(copy.subarray(16))
  expect(readBatchHeader(viewOf(bytes))).toMatchObject({ baseOffset: 1, leaderEpoch: 0 })
  await log.close()

  const stamped = await openLog({ clock, config: { messageTimestampType: 'LogAppendTime' } })
  const answer = stamped.append(batchOf(['x'], { timestamp: clock.now() + 9e9 }))
  await answer.durable
  expect(answer.logAppendTimeMs).toBe(clock.now())
  expect(await stamped.maxTimestampOffset()).toEqual({ offset: 0, timestamp: clock.now() })
  await stamped.close()
})

test('[LOG-5] appends that wait share one write and one sync, one promise and one notice', async () => {
  const files = new FaultyFiles(new MemoryFiles())
  const log = await openLog({ files })
  await appendEach(log, ['a'])
  let syncs = 0
  let notices = 0
  files.onCall = (call, path) => {
    if (call === 'sync' && path.endsWith('.log')) syncs++
  }
  log.onAdvance(() => notices++)
  const results = Array.from({ length: 100 }, (_, index) => log.append(batchOf([`${index}`])))
  expect(new Set(results.map((result) => result.durable)).size).toBe(1)
  expect(log.endOffset).toBe(101)
  expect(log.highWatermark).toBe(1)
  expect((await log.read(1, 1000)).bytes.length).toBe(0)
  expect(log.recent(1)).toBeUndefined()
  await results[0]!.durable
  expect({ syncs, notices, end: log.highWatermark }).toEqual({ syncs: 1, notices: 1, end: 101 })
  await log.close()
})

test('[LOG-6] what was just appended is handed out from memory, the same bytes, without a copy per reader', async () => {
  const files = new FaultyFiles(new MemoryFiles())
  const log = await openLog({ files })
  await appendEach(log, ['a', 'b', 'c'])
  let reads = 0
  files.onCall = (call) => {
    if (call === 'read') reads++
  }
  const slice = log.recent(1)!
  expect(slice).toMatchObject({ baseOffset: 1, nextOffset: 3 })
  expect(slice.pieces.flatMap((piece) => valuesIn(piece))).toEqual(['1:b', '2:c'])
  expect(log.recent(1)!.pieces[0]!.buffer).toBe(slice.pieces[0]!.buffer)
  expect(log.recent(0, 1)).toMatchObject({ baseOffset: 0, nextOffset: 1 })
  expect(log.recent(0, 1000, 2)).toMatchObject({ nextOffset: 2 })
  expect(log.recent(3)).toBeUndefined()
  expect(await valuesFrom(log)).toHaveLength(3)
  expect(reads).toBe(0)
  await log.close()
})

test('[LOG-7] reads return whole batches: from the one that holds the offset, at least one, up to the limits', async () => {
  const files = new MemoryFiles()
  let log = await openLog({ files, config: { segmentBytes: 40_000 } })
  for (let index = 0; index < 300; index++) {
    log.append(encodeBatch(batchRecords(index)))
  }
  await log.append(batchOfSize(30_000)).durable
  await log.close()
  log = await openLog({ files })
  expect((await log.read(301, 1)).baseOffset).toBe(300)
  expect(await log.read(0, 10_000, 4)).toMatchObject({ baseOffset: 0, nextOffset: 3 })
  expect((await log.read(0, 10_000, 2)).bytes.length).toBe(0)
  for (let offset = 0; offset < 900; offset += 37) {
    const read = await log.read(offset, 1)
    expect(read).toMatchObject({ baseOffset: offset - (offset % 3), nextOffset: offset - (offset % 3) + 3 })
    expect((await log.read(offset, 2000)).bytes.length).toBeLessThanOrEqual(2000)
  }
  expect((await log.read(900, 10)).bytes.length).toBeGreaterThan(30_000)
  expect(await log.read(901, 10)).toMatchObject({ baseOffset: 901, nextOffset: 901 })
  await expect(log.read(902, 10)).rejects.toMatchObject({ code: ErrorCode.OFFSET_OUT_OF_RANGE })
  await expect(log.read(-1, 10)).rejects.toMatchObject({ code: ErrorCode.OFFSET_OUT_OF_RANGE })
  await log.close()
})

function batchRecords(index: number) {
  const value = new Uint8Array(50 + (index % 150))
  return [0, 1, 2].map((each) => ({ key: null, value, timestamp: 1_600_000_000_000 + index * 10 + each }))
}

test('[LOG-8] one log is not opened twice; after closing it may be', async () => {
  const files = new MemoryFiles()
  const log = await openLog({ files })
  await expect(openLog({ files })).rejects.toMatchObject({ code: ErrorCode.KAFKA_STORAGE_ERROR })
  await log.close()
  await log.close()
  expect(() => log.append(batchOf(['late']))).toThrow(expect.objectContaining({ code: ErrorCode.KAFKA_STORAGE_ERROR }))
  await (await openLog({ files })).close()
})
