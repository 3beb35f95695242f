import { expect, test } from 'vitest'
import { ErrorCode } from '../../../protocol/errors.ts'
import { HandClock } from '../../../protocol/lib/clock.ts'
import { MemoryFiles } from '../../../server/storage/memory-files.ts'
import { batchOf, TEST_TIMESTAMP } from '../../support/batches.ts'
import { FaultyFiles } from '../../support/faulty-files.ts'
import { killed, openLog } from './log-fixture.ts'

const send = (sequence: number, id = 7, epoch = 0, count = 1) =>
  batchOf(
    Array.from({ length: count }, (_, index) => `s${sequence + index}`),
    { producer: { id, epoch, sequence } },
  )

test('[LOG-10] a batch that comes again gets its original offset and is not appended', async () => {
  const log = await openLog()
  await log.append(send(0)).durable
  const first = log.append(send(1, 7, 0, 3))
  await log.append(send(4)).durable
  const again = log.append(send(1, 7, 0, 3))
  expect(again).toMatchObject({ baseOffset: first.baseOffset, duplicate: true })
  await again.durable
  expect(log.endOffset).toBe(5)
  await log.close()
})

test('[LOG-11] a repeat of what is not yet durable waits for its durability', async () => {
  const memory = new MemoryFiles()
  const files = new FaultyFiles(memory)
  const log = await openLog({ files })
  let letGo = () => {}
  const held = files.fail({ call: 'sync', path: /\.log$/, until: new Promise<void>((resolve) => (letGo = resolve)) })
  log.append(send(0))
  let isDurable = false
  const again = log.append(send(0))
  const waiting = again.durable.then(() => (isDurable = true))
  for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve))
  expect(held.count).toBe(1)
  expect(isDurable).toBe(false)
  expect(log.producers()).toEqual([])
  letGo()
  await waiting
  const known = { producerId: 7, producerEpoch: 0, lastSequence: 0, lastTimestamp: TEST_TIMESTAMP }
  expect(log.producers()).toEqual([{ ...known, coordinatorEpoch: -1, currentTransactionStartOffset: -1 }])
  await log.close()
})

test('[LOG-12] gaps, older batches and old epochs are refused with their own codes', async () => {
  const log = await openLog()
  for (let sequence = 0; sequence < 8; sequence++) log.append(send(sequence))
  expect(() => log.append(send(9))).toThrow(expect.objectContaining({ code: ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER }))
  expect(() => log.append(send(1))).toThrow(expect.objectContaining({ code: ErrorCode.DUPLICATE_SEQUENCE_NUMBER }))
  expect(() => log.append(send(6, 7, 0, 2))).toThrow(
    expect.objectContaining({ code: ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER }),
  )
  expect(() => log.append(send(5, 7, 1))).toThrow(
    expect.objectContaining({ code: ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER }),
  )
  await log.append(send(0, 7, 1)).durable
  expect(() => log.append(send(8))).toThrow(expect.objectContaining({ code: ErrorCode.INVALID_PRODUCER_EPOCH }))
  await log.close()
})

test('[LOG-17] an unknown producer does not begin behind a batch of its own that was refused', async () => {
  const memory = new MemoryFiles({ capacityBytes: 2000 })
  const clock = new HandClock()
  const log = await openLog({ files: memory, clock })
  const refused = log.append(send(0, 7, 0, 200))
  await expect(refused.durable).rejects.toMatchObject({ code: ErrorCode.KAFKA_STORAGE_ERROR })
  // Sent while the first was on its way: refused as well, though there is room by now.
  memory.capacityBytes = Number.POSITIVE_INFINITY
  clock.advance(1000)
  const refusal = (code: number) => expect.objectContaining({ code })
  expect(() => log.append(send(200))).toThrow(refusal(ErrorCode.KAFKA_STORAGE_ERROR))
  await new Promise((resolve) => setImmediate(resolve))
  expect(() => log.append(send(200))).toThrow(refusal(ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER))
  expect(() => log.append(send(201))).toThrow(refusal(ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER))
  // Others, and another epoch, are not concerned.
  await log.append(send(5, 8)).durable
  await log.append(send(0, 7, 0, 200)).durable
  await log.append(send(200)).durable
  expect(log.endOffset).toBe(202)
  await log.close()
})

test('[LOG-17] a batch refused for what it holds counts too, and a new epoch does not', async () => {
  const log = await openLog({ config: { maxMessageBytes: 300 } })
  const refusal = (code: number) => expect.objectContaining({ code })
  expect(() => log.append(send(0, 7, 0, 50))).toThrow(refusal(ErrorCode.MESSAGE_TOO_LARGE))
  expect(() => log.append(send(50))).toThrow(refusal(ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER))
  // Its client gives the first up and numbers the rest anew, or takes a new epoch.
  await log.append(send(0)).durable
  expect(() => log.append(send(0, 8, 0, 50))).toThrow(refusal(ErrorCode.MESSAGE_TOO_LARGE))
  await log.append(send(0, 8, 1)).durable
  await log.close()
})

test('[LOG-13] an unknown producer may begin anywhere; what came before its first is not called written', async () => {
  const log = await openLog()
  for (let sequence = 100; sequence < 106; sequence++) await log.append(send(sequence)).durable
  expect(() => log.append(send(50))).toThrow(expect.objectContaining({ code: ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER }))
  expect(() => log.append(send(100))).toThrow(expect.objectContaining({ code: ErrorCode.DUPLICATE_SEQUENCE_NUMBER }))
  await log.close()
})

test('[LOG-14] sequences wrap from 2^31 - 1 to 0', async () => {
  const log = await openLog()
  await log.append(send(2_147_483_646, 7, 0, 2)).durable
  await log.append(send(0)).durable
  expect(log.append(send(2_147_483_646, 7, 0, 2))).toMatchObject({ duplicate: true, baseOffset: 0 })
  const across = log.append(batchOf(['a', 'b', 'c'], { producer: { id: 8, sequence: 2_147_483_646 } }))
  await across.durable
  await log.append(send(1, 8)).durable
  expect(log.producers().find((producer) => producer.producerId === 8)).toMatchObject({ lastSequence: 1 })
  await log.close()
})

test('[LOG-15] producers are remembered over close, kill, and the retention of all they wrote', async () => {
  const files = new MemoryFiles({ tracksPower: true })
  const clock = new HandClock()
  const config = { segmentBytes: 300 }
  let log = await openLog({ files, clock, config })
  for (let sequence = 0; sequence < 20; sequence++) await log.append(send(sequence)).durable
  const afterKill = await openLog({ files: await killed(files, clock), clock, config })
  expect(afterKill.recovery.isClean).toBe(false)
  expect(afterKill.append(send(19))).toMatchObject({ duplicate: true, baseOffset: 19 })
  await log.close()
  log = await openLog({ files, clock, config })
  expect(log.append(send(16))).toMatchObject({ duplicate: true, baseOffset: 16 })
  for (let index = 0; index < 10; index++) await log.append(batchOf(['later'])).durable
  await log.deleteRecordsBefore(-1)
  await log.close()
  log = await openLog({ files, clock, config })
  expect(log.append(send(18))).toMatchObject({ duplicate: true, baseOffset: 18 })
  await log.append(send(20)).durable
  await log.close()
})

test('[LOG-16] a producer expires by the time of its append, not by that of its records', async () => {
  const files = new MemoryFiles({ tracksPower: true })
  const clock = new HandClock()
  const config = { producerIdExpirationMs: 60_000, retentionMs: -1 }
  const log = await openLog({ files, clock, config })
  const old = batchOf(['1999'], { producer: { id: 7, sequence: 0 }, timestamp: 915_148_800_000 })
  await log.append(old).durable
  await log.enforceRetention()
  expect(log.producers()).toHaveLength(1)
  const replayed = await openLog({ files: await killed(files, clock), clock, config })
  await replayed.enforceRetention()
  expect(replayed.producers()).toHaveLength(1)
  clock.advance(601_000)
  await log.enforceRetention()
  expect(log.producers()).toEqual([])
  await log.close()
})

test('[LOG-106] a start with a clock that is far ahead forgets no producer that sends again what was not answered', async () => {
  const files = new MemoryFiles({ tracksPower: true })
  const clock = new HandClock()
  const config = { producerIdExpirationMs: 60_000, retentionMs: -1 }
  const log = await openLog({ files, clock, config })
  const batch = batchOf(['a'], { producer: { id: 7, sequence: 0 } })
  await log.append(batch.slice()).durable
  await log.close()
  const later = new HandClock(clock.now() + 86_400_000)
  const again = await openLog({ files, clock: later, config })
  later.advance(500_000)
  await again.enforceRetention()
  expect(again.append(batch.slice())).toMatchObject({ duplicate: true, baseOffset: 0 })
  later.advance(700_000)
  await again.enforceRetention()
  expect(again.producers()).toEqual([])
  await again.close()
})
