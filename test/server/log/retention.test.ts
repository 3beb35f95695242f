import { expect, test } from 'vitest'
import { ErrorCode } from '../../../protocol/errors.ts'
import { HandClock } from '../../../protocol/lib/clock.ts'
import { BATCH_HEADER_BYTES, sealBatch } from '../../../protocol/record-batch.ts'
import { segmentName } from '../../../server/log/log-names.ts'
import { MemoryFiles } from '../../../server/storage/memory-files.ts'
import { batchOf } from '../../support/batches.ts'
import { eventually } from '../../support/eventually.ts'
import { FaultyFiles } from '../../support/faulty-files.ts'
import { compact } from './compaction-fixture.ts'
import { appendEach, DIR, findings, killed, openLog, valuesFrom } from './log-fixture.ts'

const DAY_MS = 86_400_000
const VALUES = Array.from({ length: 12 }, (_, index) => `value-${index}`)
const segmentsIn = async (files: MemoryFiles) => (await files.list(DIR)).filter((name) => name.endsWith('.log'))

test('[LOG-40] whole segments past their time go, the active one too when all of it is', async () => {
  const files = new MemoryFiles()
  const clock = new HandClock()
  let log = await openLog({ files, clock, config: { segmentBytes: 400, retentionMs: DAY_MS } })
  await appendEach(log, VALUES)
  await log.enforceRetention()
  expect(log.startOffset).toBe(0)
  clock.advance(DAY_MS + 2_000_000)
  await log.append(batchOf(['young'], { timestamp: clock.now() })).durable
  const freed = await log.enforceRetention()
  expect(freed).toBeGreaterThan(0)
  expect(log.startOffset).toBe(10)
  await expect(log.read(3, 100)).rejects.toMatchObject({ code: ErrorCode.OFFSET_OUT_OF_RANGE })
  clock.advance(DAY_MS + 1)
  await log.enforceRetention()
  expect({ start: log.startOffset, end: log.endOffset }).toEqual({ start: 13, end: 13 })
  await log.close()
  expect(await segmentsIn(files)).toEqual(['00000000000000000013.log'])
  log = await openLog({ files, clock })
  expect(log.startOffset).toBe(13)
  expect(log.append(batchOf(['next'])).baseOffset).toBe(13)
  await log.close()
  expect(await findings(files)).toEqual([])
})

test('[LOG-41] the log is held to its size by dropping whole segments, never the active one', async () => {
  const log = await openLog({ config: { segmentBytes: 400, retentionBytes: 800, retentionMs: -1 } })
  await appendEach(log, VALUES)
  await log.enforceRetention()
  expect(log.startOffset).toBe(0)
  await appendEach(log, VALUES)
  await log.enforceRetention()
  expect(log.startOffset).toBeGreaterThan(0)
  expect(log.sizeBytes).toBeGreaterThanOrEqual(800)
  expect(log.sizeBytes).toBeLessThan(1300)
  await log.close()
})

test('[LOG-42] a wall clock that jumps deletes nothing early: deletions follow it no more than twice as fast as time passes', async () => {
  const clock = new HandClock()
  const log = await openLog({ clock, config: { segmentBytes: 400, retentionMs: DAY_MS } })
  await appendEach(log, VALUES)
  for (const jumpMs of [30 * DAY_MS, -30 * DAY_MS, 2 * 3_600_000, 30 * DAY_MS]) {
    clock.jumpWallTo(clock.now() + jumpMs)
    expect(await log.enforceRetention()).toBe(0)
  }
  // The clock stays wrong. The records are 17 minutes old; half a day later they may count as a day old.
  clock.advance(DAY_MS / 2 - 1_000_000)
  await log.enforceRetention()
  expect(log.startOffset).toBe(0)
  clock.advance(1_000_000)
  await log.enforceRetention()
  expect(log.startOffset).toBe(12)
  await log.close()
})

test('[LOG-47] a segment is closed segment.ms after its first append, over restarts, and not before', async () => {
  const files = new MemoryFiles()
  const clock = new HandClock()
  const config = { segmentMs: 60_000 }
  let log = await openLog({ files, clock, config })
  await appendEach(log, ['a'])
  for (let restart = 0; restart < 3; restart++) {
    clock.advance(20_000)
    await log.close()
    log = await openLog({ files, clock, config })
    await appendEach(log, [`${restart}`])
    expect(await segmentsIn(files)).toHaveLength(1)
  }
  clock.advance(1)
  await appendEach(log, ['over'])
  expect(await segmentsIn(files)).toHaveLength(2)
  await log.close()
})

test('[LOG-43] deleted records stay deleted, also within a segment and over a restart', async () => {
  const files = new MemoryFiles()
  let log = await openLog({ files, config: { segmentBytes: 400 } })
  await appendEach(log, VALUES)
  expect(await log.deleteRecordsBefore(3)).toBe(3)
  expect(await log.deleteRecordsBefore(2)).toBe(3)
  await expect(log.deleteRecordsBefore(13)).rejects.toMatchObject({ code: ErrorCode.OFFSET_OUT_OF_RANGE })
  await log.close()
  log = await openLog({ files })
  expect((await valuesFrom(log))[0]).toBe('3:value-3')
  expect(log.recent(2)).toBeUndefined()
  expect(await log.deleteRecordsBefore(-1)).toBe(12)
  expect(await valuesFrom(log)).toEqual([])
  await log.close()
})

test('[LOG-43] a start that did not reach the disk is told to nobody', async () => {
  const memory = new MemoryFiles()
  const files = new FaultyFiles(memory)
  let log = await openLog({ files, config: { segmentBytes: 400 } })
  await appendEach(log, VALUES)
  const told: number[] = []
  log.onAdvance(() => told.push(log.startOffset))
  const full = files.fail({ call: 'writev', path: /manifest/, code: 'EIO' })
  await expect(log.deleteRecordsBefore(3)).rejects.toMatchObject({ code: 'EIO' })
  expect([full.count, log.startOffset, told]).toEqual([1, 0, []])
  expect((await valuesFrom(log))[0]).toBe('0:value-0')
  expect(await log.deleteRecordsBefore(5)).toBe(5)
  await log.close()
  log = await openLog({ files: memory })
  expect((await valuesFrom(log))[0]).toBe('5:value-5')
  await log.close()
})

test('[LOG-44] a segment that is being read is deleted when its reader is done, and the reader gets its bytes', async () => {
  const memory = new MemoryFiles()
  let log = await openLog({ files: memory, config: { segmentBytes: 400 } })
  await appendEach(log, VALUES)
  await log.close()
  const files = new FaultyFiles(memory)
  log = await openLog({ files })
  let letGo = () => {}
  const held = files.fail({
    call: 'read',
    path: /0000\.log$/,
    until: new Promise<void>((resolve) => (letGo = resolve)),
  })
  const reading = log.read(1, 100)
  while (held.count === 0) await new Promise((resolve) => setImmediate(resolve))
  await log.deleteRecordsBefore(11)
  expect(await segmentsIn(memory)).toContain('00000000000000000000.log')
  letGo()
  expect((await reading).baseOffset).toBe(1)
  await log.close()
  expect(await segmentsIn(memory)).not.toContain('00000000000000000000.log')
})

test('[LOG-45] truncation cuts at a batch, raises the epoch, and says where old epochs end', async () => {
  const files = new MemoryFiles()
  let log = await openLog({ files, config: { segmentBytes: 400 } })
  await appendEach(log, VALUES)
  for (const [target, epoch] of [
    [11, 0],
    [6, 0],
    [0, 0],
  ] as const) {
    const before = log.leaderEpoch
    expect(await log.truncateTo(target)).toBe(target)
    expect(log.leaderEpoch).toBeGreaterThan(before)
    expect(log.endOffsetForEpoch(epoch).endOffset).toBeLessThanOrEqual(target)
    expect(await valuesFrom(log)).toEqual(VALUES.slice(0, target).map((value, offset) => `${offset}:${value}`))
  }
  await log.append(batchOf(['a', 'b', 'c'])).durable
  expect(await log.truncateTo(2)).toBe(0)
  await appendEach(log, ['again'])
  const epoch = log.leaderEpoch
  await log.close()
  expect(await findings(files)).toEqual([])
  log = await openLog({ files })
  expect(log.leaderEpoch).toBe(epoch)
  expect(await valuesFrom(log)).toEqual(['0:again'])
  await log.close()
})

test('[LOG-46] offsets by time: first at or after, within a batch, across segments, with times out of order', async () => {
  const files = new MemoryFiles()
  let log = await openLog({ files, config: { segmentBytes: 300 } })
  const times = [1000, 2000, 1500, 5000, 4000, 3000, 6000, 6000]
  for (const timestamp of times) await log.append(batchOf(['a', 'b'], { timestamp })).durable
  for (const when of ['open', 'reopened']) {
    const at = (timestamp: number) => log.offsetForTimestamp(timestamp)
    expect(await at(0), when).toEqual({ offset: 0, timestamp: 1000 })
    expect(await at(1001)).toEqual({ offset: 1, timestamp: 1001 })
    expect(await at(2001)).toEqual({ offset: 3, timestamp: 2001 })
    expect(await at(2002)).toEqual({ offset: 6, timestamp: 5000 })
    expect(await at(6001)).toEqual({ offset: 13, timestamp: 6001 })
    expect(await at(6002)).toBeUndefined()
    expect(await log.maxTimestampOffset()).toEqual({ offset: 13, timestamp: 6001 })
    await log.close()
    log = await openLog({ files })
  }
  await log.deleteRecordsBefore(14)
  expect(await log.offsetForTimestamp(0)).toEqual({ offset: 14, timestamp: 6000 })
  await log.deleteRecordsBefore(-1)
  expect(await log.offsetForTimestamp(0)).toBeUndefined()
  expect(await log.maxTimestampOffset()).toBeUndefined()
  await log.close()
})

test('[LOG-46] offsets by time: a batch that cannot be looked into answers for its records', async () => {
  const log = await openLog({ files: new MemoryFiles() })
  const spoiled = batchOf(['c', 'd'], { timestamp: 3000 }).fill(0xff, BATCH_HEADER_BYTES)
  sealBatch(spoiled)
  for (const batch of [batchOf(['a', 'b'], { timestamp: 1000 }), spoiled, batchOf(['e'], { timestamp: 4000 })])
    await log.append(batch).durable
  expect(await log.offsetForTimestamp(1001)).toEqual({ offset: 1, timestamp: 1001 })
  expect(await log.offsetForTimestamp(3000)).toEqual({ offset: 2, timestamp: 3001 })
  expect(await log.offsetForTimestamp(4000)).toEqual({ offset: 4, timestamp: 4000 })
  await log.close()
})

test('[OPS-10] what a backup holds is there, also when snapshots are being removed as it begins', async () => {
  const memory = new MemoryFiles()
  const files = new FaultyFiles(memory)
  let goOn = () => {}
  const later = new Promise<void>((resolve) => {
    goOn = resolve
  })
  const log = await openLog({ files, checkpointBytes: 100 })
  const removing = files.fail({ call: 'remove', path: /\.snapshot$/, until: later })
  for (let index = 0; removing.count === 0; index++) await appendEach(log, [`${index}`])
  const held = log.hold()
  goOn()
  await appendEach(log, ['last'])
  const names = await memory.list(DIR)
  for (const { name } of held.files) expect(names).toContain(name)
  held.release()
  await log.close()
})

test('[LOG-48] records without a timestamp count from when they were written, over restarts and a compaction', async () => {
  const clock = new HandClock()
  const changing = { segmentBytes: 400, retentionMs: DAY_MS, cleanupPolicy: 'compact,delete' as const }
  for (const isClosed of [true, false]) {
    let files = new MemoryFiles({ tracksPower: true })
    let log = await openLog({ files, clock, config: changing })
    for (const value of VALUES) await log.append(batchOf([value], { timestamp: -1 })).durable
    await log.enforceRetention()
    expect(log.startOffset).toBe(0)
    await compact(log)
    clock.advance(DAY_MS / 2)
    if (isClosed) await log.close()
    else files = await killed(files, clock)
    log = await openLog({ files, clock, config: changing })
    await log.enforceRetention()
    expect(log.startOffset).toBe(0)
    clock.advance(DAY_MS / 2 + 1000)
    await log.enforceRetention()
    expect(log.startOffset).toBeGreaterThan(0)
    clock.advance(DAY_MS)
    await log.enforceRetention()
    expect(log.startOffset).toBe(VALUES.length)
    await log.close()
    expect(await findings(files)).toEqual([])
  }
})

test('[LOG-46] a time is found though the segment that was looked at is deleted meanwhile', async () => {
  const [memory, clock] = [new MemoryFiles(), new HandClock()]
  const config = { segmentBytes: 400 }
  let log = await openLog({ files: memory, clock, config })
  for (const [index, value] of VALUES.entries()) await log.append(batchOf([value], { timestamp: 1000 + index })).durable
  await log.close()
  const files = new FaultyFiles(memory)
  log = await openLog({ files, clock, config })
  let goOn = () => {}
  const held = new Promise<void>((resolve) => {
    goOn = resolve
  })
  const late = files.fail({ call: 'open', path: /0\.index$/, until: held })
  const looking = log.offsetForTimestamp(1001)
  await eventually(() => late.count === 1)
  await log.deleteRecordsBefore(8)
  await eventually(async () => !(await segmentsIn(memory)).includes(segmentName(0)))
  goOn()
  expect(await looking).toEqual({ offset: 8, timestamp: 1008 })
  await log.close()
})
