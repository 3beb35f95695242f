/** Transactions in one log: who may write, what ends them, and what is remembered of them over closes and crashes. */
import { expect, test } from 'vitest'
import { ErrorCode } from '../../../protocol/errors.ts'
import { HandClock } from '../../../protocol/lib/clock.ts'
import { batchesIn, isControl, isTransactional } from '../../../protocol/record-batch.ts'
import { readMarker } from '../../../protocol/transaction-marker.ts'
import type { PartitionLog } from '../../../server/log/partition-log.ts'
import { MemoryFiles } from '../../../server/storage/memory-files.ts'
import { batchOf } from '../../support/batches.ts'
import { FaultyFiles } from '../../support/faulty-files.ts'
import { damage, killed, openLog } from './log-fixture.ts'

const inTransaction = (value: string, sequence: number, id = 7, epoch = 0) =>
  batchOf([value], { producer: { id, epoch, sequence, isTransactional: true } })

const marker = (outcome: 'commit' | 'abort', producerId = 7, producerEpoch = 0, coordinatorEpoch = 1) => ({
  ...{ producerId, producerEpoch, coordinatorEpoch, outcome },
})

const codeOf = (code: keyof typeof ErrorCode) => expect.objectContaining({ code: ErrorCode[code] })

async function read(log: PartitionLog) {
  const { bytes } = await log.read(log.startOffset, 1_000_000)
  return { bytes, batches: [...batchesIn(bytes)] }
}

test('[LOG-60] a transaction holds the last stable offset at its first batch until its marker is durable', async () => {
  const files = new FaultyFiles(new MemoryFiles())
  const log = await openLog({ files })
  await log.append(batchOf(['plain'])).durable
  expect(log.lastStableOffset).toBe(1)
  await log.append(inTransaction('a', 0)).durable
  await log.append(batchOf(['plain'])).durable
  await log.append(inTransaction('b', 1)).durable
  expect([log.lastStableOffset, log.highWatermark]).toEqual([1, 4])
  expect(log.openTransactions()).toMatchObject([{ producerId: 7, producerEpoch: 0, firstOffset: 1 }])

  let letGo = () => {}
  files.fail({ call: 'sync', path: /\.log$/, until: new Promise<void>((resolve) => (letGo = resolve)) })
  const ended = log.appendMarker(marker('commit'))
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve))
  expect(log.openTransactions()).toEqual([])
  expect(log.lastStableOffset).toBe(1)
  letGo()
  await ended.durable
  expect([log.lastStableOffset, log.highWatermark]).toEqual([5, 5])
  await log.close()
})

test('[LOG-61] a marker is a control batch with the producer, its outcome and its coordinator', async () => {
  const log = await openLog()
  await log.append(inTransaction('a', 0)).durable
  await log.appendMarker(marker('abort', 7, 3, 9)).durable
  const { bytes, batches } = await read(log)
  const { at, header } = batches[1]!
  expect([isControl(header), isTransactional(header), header.baseSequence, header.recordCount]).toEqual([
    ...[true, true, -1, 1],
  ])
  expect(readMarker(bytes, at, header)).toEqual(marker('abort', 7, 3, 9))
  await log.close()
})

test('[LOG-62] a marker of an older producer or coordinator is refused, a newer epoch fences and counts from 0', async () => {
  const log = await openLog()
  await log.append(inTransaction('a', 0)).durable
  await log.appendMarker(marker('abort', 7, 2, 5)).durable
  expect(() => log.appendMarker(marker('commit', 7, 1, 5))).toThrow(codeOf('INVALID_PRODUCER_EPOCH'))
  expect(() => log.appendMarker(marker('commit', 7, 2, 4))).toThrow(codeOf('TRANSACTION_COORDINATOR_FENCED'))
  expect(() => log.append(inTransaction('late', 1))).toThrow(codeOf('INVALID_PRODUCER_EPOCH'))
  expect(() => log.append(inTransaction('gap', 1, 7, 2))).toThrow(codeOf('OUT_OF_ORDER_SEQUENCE_NUMBER'))
  await log.append(inTransaction('next', 0, 7, 2)).durable
  expect(log.openTransactions()).toMatchObject([{ producerEpoch: 2, firstOffset: 2 }])
  await log.close()
})

test('[LOG-62] the last epoch there is ends transactions; there is none beyond it', async () => {
  const log = await openLog()
  await log.append(inTransaction('a', 0, 7, 32_766)).durable
  await log.appendMarker(marker('abort', 7, 32_767)).durable
  expect(log.lastStableOffset).toBe(2)
  await log.append(inTransaction('b', 0, 7, 32_767)).durable
  await log.appendMarker(marker('commit', 7, 32_767)).durable
  expect(() => log.appendMarker(marker('commit', 7, 32_768))).toThrow(codeOf('INVALID_REQUEST'))
  expect(() => log.appendMarker(marker('commit', -1))).toThrow(codeOf('INVALID_REQUEST'))
  expect(log.lastStableOffset).toBe(4)
  await log.close()
})

test('[LOG-63] a marker that comes again is not written again; one for an unknown producer fences it', async () => {
  const log = await openLog()
  await log.append(inTransaction('a', 0)).durable
  await log.appendMarker(marker('commit')).durable
  const again = log.appendMarker(marker('commit'))
  expect(again).toMatchObject({ duplicate: true, baseOffset: 1 })
  await again.durable
  expect(log.endOffset).toBe(2)

  await log.appendMarker(marker('abort', 8, 4)).durable
  expect(log.endOffset).toBe(3)
  expect(() => log.append(inTransaction('late', 0, 8, 3))).toThrow(codeOf('INVALID_PRODUCER_EPOCH'))
  expect(log.lastStableOffset).toBe(3)
  // Who wrote before, and was forgotten, goes on where it was.
  await log.append(inTransaction('on', 57, 8, 4)).durable
  await log.close()
})

test('[LOG-64] an open transaction takes neither other batches of its producer nor those of a newer epoch', async () => {
  const log = await openLog()
  await log.append(inTransaction('a', 0)).durable
  const plain = batchOf(['plain'], { producer: { id: 7, sequence: 1 } })
  expect(() => log.append(plain)).toThrow(codeOf('INVALID_TXN_STATE'))
  expect(() => log.append(inTransaction('new', 0, 7, 1))).toThrow(codeOf('INVALID_TXN_STATE'))
  expect(log.append(inTransaction('a', 0))).toMatchObject({ duplicate: true, baseOffset: 0 })
  await log.appendMarker(marker('commit')).durable
  await log.append(plain).durable
  expect(log.lastStableOffset).toBe(3)
  await log.close()
})

test('[LOG-65] open transactions survive a close, a kill, and the loss of the snapshot', async () => {
  const files = new MemoryFiles({ tracksPower: true })
  const clock = new HandClock()
  const config = { segmentBytes: 300 }
  let log = await openLog({ files, clock, config })
  await log.append(inTransaction('a', 0)).durable
  for (let index = 0; index < 10; index++) await log.append(batchOf(['plain'])).durable
  await log.append(inTransaction('x', 0, 8)).durable
  await log.appendMarker(marker('commit', 8, 0, 3)).durable
  const check = (opened: PartitionLog) => {
    expect(opened.lastStableOffset).toBe(0)
    expect(opened.openTransactions()).toMatchObject([{ producerId: 7, firstOffset: 0 }])
    expect(opened.producers()).toMatchObject([
      { producerId: 7, currentTransactionStartOffset: 0, coordinatorEpoch: -1 },
      { producerId: 8, currentTransactionStartOffset: -1, coordinatorEpoch: 3 },
    ])
  }
  const afterKill = await killed(files, clock)
  check(await openLog({ files: afterKill, clock, config }))

  await log.close()
  log = await openLog({ files, clock, config })
  expect(log.recovery.isClean).toBe(true)
  check(log)
  await log.close()
  const snapshots = (await files.list(log.dir)).filter((name) => name.endsWith('.snapshot'))
  expect(snapshots.length).toBeGreaterThan(1)
  for (const name of snapshots) await damage(files, name, (bytes) => bytes.fill(0, 20))
  log = await openLog({ files, clock, config })
  expect(log.openTransactions()).toMatchObject([{ producerId: 7, firstOffset: 0 }])
  await log.appendMarker(marker('abort')).durable
  expect(log.lastStableOffset).toBe(log.highWatermark)
  await log.close()
})

test('[LOG-66] a producer with an open transaction does not expire', async () => {
  const clock = new HandClock()
  const log = await openLog({ clock, config: { producerIdExpirationMs: 60_000, retentionMs: -1 } })
  await log.append(inTransaction('a', 0)).durable
  await log.append(batchOf(['b'], { producer: { id: 8, sequence: 0 } })).durable
  clock.advance(601_000)
  await log.enforceRetention()
  expect(log.producers()).toMatchObject([{ producerId: 7 }])
  await log.appendMarker(marker('commit')).durable
  clock.advance(61_000)
  await log.enforceRetention()
  expect(log.producers()).toEqual([])
  await log.close()
})

test('[LOG-67] with the records of an open transaction deleted, it ends where the log begins', async () => {
  const log = await openLog()
  await log.append(inTransaction('a', 0)).durable
  await log.append(batchOf(['b'])).durable
  await log.deleteRecordsBefore(1)
  expect([log.startOffset, log.lastStableOffset]).toEqual([1, 1])
  await log.deleteRecordsBefore(2)
  expect([log.startOffset, log.lastStableOffset]).toEqual([2, 2])
  await log.appendMarker(marker('abort')).durable
  expect(log.lastStableOffset).toBe(3)
  await log.close()
})

test('[LOG-68] truncation takes back the markers that it cuts, and the transactions that it cuts whole', async () => {
  const log = await openLog()
  await log.append(inTransaction('a', 0)).durable
  await log.append(batchOf(['plain'])).durable
  await log.appendMarker(marker('commit')).durable
  await log.append(inTransaction('b', 1)).durable
  await log.truncateTo(3)
  expect([log.lastStableOffset, log.highWatermark]).toEqual([3, 3])
  await log.truncateTo(2)
  expect([log.lastStableOffset, log.highWatermark]).toEqual([0, 2])
  await log.appendMarker(marker('abort')).durable
  expect(log.lastStableOffset).toBe(3)
  await log.close()
})
