/** What an acknowledgement means: a power cut against both levels, side by side. */
import { expect, test } from 'vitest'
import { ErrorCode } from '../../../protocol/errors.ts'
import { HandClock } from '../../../protocol/lib/clock.ts'
import { seededRandom } from '../../../protocol/lib/random.ts'
import type { Durability } from '../../../server/log/durability.ts'
import { MemoryFiles } from '../../../server/storage/memory-files.ts'
import { batchOf } from '../../support/batches.ts'
import { FaultyFiles } from '../../support/faulty-files.ts'
import { appendEach, DIR, killed, openLog, valuesFrom } from './log-fixture.ts'

const afterPowerCut = (files: MemoryFiles) => files.powerCut('dropped', seededRandom(1))
const turn = () => new Promise((resolve) => setImmediate(resolve))

async function passed(clock: HandClock, ms: number) {
  clock.advance(ms)
  for (let count = 0; count < 10; count++) await turn()
}

test('[DUR-2] the control: a power cut takes acknowledged records of a relaxed log, and none of the other', async () => {
  const found = new Map<Durability, string[]>()
  for (const durability of ['fsync', 'relaxed'] as const) {
    const files = new MemoryFiles({ tracksPower: true })
    const clock = new HandClock()
    const log = await openLog({ files, clock, config: { durability, flushMs: 1000 } })
    await appendEach(log, ['a', 'b', 'c'])
    await passed(clock, 1000)
    expect(log.syncedOffset).toBe(3)
    const result = log.append(batchOf(['d', 'e']))
    expect(result.durability).toBe(durability)
    await result.durable
    expect(log.highWatermark).toBe(5)
    expect(log.syncedOffset).toBe(durability === 'fsync' ? 5 : 3)
    const after = await openLog({ files: afterPowerCut(files) })
    expect(after.fault).toBeUndefined()
    found.set(durability, await valuesFrom(after))
    // Whoever has read what is gone learns from the epoch where to cut.
    expect(after.endOffsetForEpoch(log.leaderEpoch)).toEqual({ epoch: log.leaderEpoch, endOffset: after.endOffset })
    expect(after.leaderEpoch).toBeGreaterThan(log.leaderEpoch)
    await Promise.all([log.close(), after.close()])
  }
  expect(found.get('fsync')).toEqual(['0:a', '1:b', '2:c', '3:d', '4:e'])
  expect(found.get('relaxed')).toEqual(['0:a', '1:b', '2:c'])
})

test('[DUR-3] relaxed records survive the process, and are on disk flush.ms later, at a roll, and when the log closes', async () => {
  const files = new MemoryFiles({ tracksPower: true })
  const clock = new HandClock()
  const config = { durability: 'relaxed' as const, flushMs: 500, segmentBytes: 400 }
  let log = await openLog({ files, clock, config })
  await appendEach(log, ['a'])
  const reopened = await openLog({ files: await killed(files, clock), clock, config })
  expect(await valuesFrom(reopened)).toEqual(['0:a'])
  await reopened.close()
  await passed(clock, 399)
  expect(log.syncedOffset).toBe(0)
  await passed(clock, 1)
  expect(log.syncedOffset).toBe(1)
  await appendEach(log, ['b', 'c', 'd', 'e', 'f', 'g'])
  expect(log.syncedOffset).toBeGreaterThan(3)
  expect(log.syncedOffset).toBeLessThan(7)
  await log.close()
  log = await openLog({ files: afterPowerCut(files), clock, config })
  expect({ end: log.endOffset, cut: log.recovery.cut }).toEqual({ end: 7, cut: undefined })
  await log.close()
})

test('[DUR-4] the end of a transaction is on disk before it is answered, and with it what was written before', async () => {
  const files = new MemoryFiles({ tracksPower: true })
  const log = await openLog({ files, config: { durability: 'relaxed' } })
  await log.append(batchOf(['a'], { producer: { id: 1, sequence: 0, isTransactional: true } })).durable
  expect(log.syncedOffset).toBe(0)
  const marker = log.appendMarker({ producerId: 1, producerEpoch: 0, coordinatorEpoch: 0, outcome: 'commit' })
  expect(marker.durability).toBe('fsync')
  await marker.durable
  expect(log.syncedOffset).toBe(2)
  const after = await openLog({ files: afterPowerCut(files) })
  expect(after.lastStableOffset).toBe(2)
  await Promise.all([log.close(), after.close()])
})

test('[DUR-5] the level changes without a restart, and a repeat is answered with what is true of it by now', async () => {
  const clock = new HandClock()
  const files = new MemoryFiles({ tracksPower: true })
  const changing: { durability: Durability } = { durability: 'relaxed' }
  const { openPartitionLog } = await import('../../../server/log/open-log.ts')
  const { DEFAULT_LOG_CONFIG } = await import('../../../server/log/log-config.ts')
  const config = () => ({ ...DEFAULT_LOG_CONFIG, ...changing })
  const log = await openPartitionLog({ files, dir: DIR, clock, config })
  const send = (sequence: number) => log.append(batchOf([`${sequence}`], { producer: { id: 9, sequence } }))
  await send(0).durable
  expect(send(0)).toMatchObject({ duplicate: true, durability: 'relaxed' })
  changing.durability = 'fsync'
  expect(send(0)).toMatchObject({ duplicate: true, durability: 'relaxed' })
  const strict = send(1)
  expect(strict.durability).toBe('fsync')
  await strict.durable
  expect(send(0)).toMatchObject({ duplicate: true, durability: 'fsync' })
  const after = await openLog({ files: afterPowerCut(files) })
  expect(after.endOffset).toBe(2)
  await Promise.all([log.close(), after.close()])
})

test('[DUR-6] a sync in the background that fails takes the log offline, and what it might have lost is not served again', async () => {
  const memory = new MemoryFiles({ tracksPower: true })
  const files = new FaultyFiles(memory)
  const clock = new HandClock()
  const log = await openLog({ files, clock, config: { durability: 'relaxed', flushMs: 100 } })
  await appendEach(log, ['a'])
  await passed(clock, 100)
  await appendEach(log, ['b', 'c'])
  const fault = files.fail({ call: 'sync', path: /\.log$/, code: 'EIO' })
  await passed(clock, 100)
  expect(fault.count).toBe(1)
  expect(log.fault).toMatchObject({ kind: 'write', offset: 1 })
  expect(() => log.append(batchOf(['d']))).toThrow(expect.objectContaining({ code: ErrorCode.KAFKA_STORAGE_ERROR }))
  expect((await log.read(0, 1000)).nextOffset).toBe(1)
  await log.close()
  const after = await openLog({ files: memory })
  expect(after.fault).toBeUndefined()
  expect(await valuesFrom(after)).toEqual(['0:a'])
  await after.close()
})

test('[DUR-7] deleting records syncs what lies at the new beginning first', async () => {
  const files = new MemoryFiles({ tracksPower: true })
  const log = await openLog({ files, config: { durability: 'relaxed' } })
  await appendEach(log, ['a', 'b', 'c'])
  expect(await log.deleteRecordsBefore(-1)).toBe(3)
  const after = await openLog({ files: afterPowerCut(files) })
  expect({ start: after.startOffset, end: after.endOffset, fault: after.fault }).toEqual({
    start: 3,
    end: 3,
    fault: undefined,
  })
  await Promise.all([log.close(), after.close()])
})

test('[DUR-8] what a killed process left in the hands of the system is on disk before a restart calls it durable', async () => {
  const files = new MemoryFiles({ tracksPower: true })
  const held = new FaultyFiles(files)
  held.fail({ call: 'sync', path: /\.log$/, until: new Promise(() => {}) })
  const log = await openLog({ files: held })
  log.append(batchOf(['a'], { producer: { id: 3, sequence: 0 } }))
  for (let count = 0; count < 20; count++) await turn()
  // Killed while its first sync ran: written, not synced, not acknowledged.
  const left = files.powerCut('kept', seededRandom(1))
  const unsynced = files.powerCut('dropped', seededRandom(1))
  expect((await openLog({ files: unsynced })).endOffset).toBe(0)
  const again = new MemoryFiles({ tracksPower: true })
  await again.makeDir(DIR)
  for (const name of await left.list(DIR)) {
    const from = await left.open(`${DIR}/${name}`, 'read')
    const bytes = new Uint8Array(await from.size())
    await from.read(bytes, 0)
    await (await again.open(`${DIR}/${name}`, 'create')).writev([bytes], 0)
  }
  await again.syncDir(DIR)
  const restarted = await openLog({ files: again })
  const repeat = restarted.append(batchOf(['a'], { producer: { id: 3, sequence: 0 } }))
  expect(repeat.duplicate).toBe(true)
  await repeat.durable
  expect(await valuesFrom(await openLog({ files: afterPowerCut(again) }))).toEqual(['0:a'])
  await restarted.close()
})

test('[DUR-3] after a failed sync the one that flush.ms owes is not tried: a restart has what was synced, and goes on', async () => {
  const clock = new HandClock()
  const memory = new MemoryFiles({ tracksPower: true })
  const files = new FaultyFiles(memory)
  const changing: { durability: Durability } = { durability: 'relaxed' }
  const log = await openLog({ files, clock, config: { ...changing, flushMs: 500 } })
  await appendEach(log, ['a'])
  await passed(clock, 500)
  expect(log.syncedOffset).toBe(1)
  await appendEach(log, ['b'])
  const fault = files.fail({ call: 'sync', path: /\.log$/, code: 'EIO' })
  const marker = { producerId: 1, producerEpoch: 0, coordinatorEpoch: 0, outcome: 'abort' as const }
  await expect(log.appendMarker(marker).durable).rejects.toThrow()
  expect(fault.count).toBe(1)
  await passed(clock, 500)
  const after = await killed(memory, clock)
  const again = await openLog({ files: after, clock })
  expect(again.fault).toBeUndefined()
  expect(await valuesFrom(again)).toEqual(['0:a'])
  await log.close()
  await again.close()
})
