/** What compaction keeps and what it takes, one case at a time. */
import { describe, expect, test } from 'vitest'
import { HandClock } from '../../../protocol/lib/clock.ts'
import { seededRandom } from '../../../protocol/lib/random.ts'
import {
  type CodecId,
  codecOf,
  hasDeleteHorizon,
  isControl,
  viewOf,
  writeBaseOffset,
} from '../../../protocol/record-batch.ts'
import { CompactionTask } from '../../../server/compaction-task.ts'
import { relayConfigDefaults } from '../../../server/config.ts'
import type { Engine } from '../../../server/engine.ts'
import { gapBatch } from '../../../server/log/compaction/batch-forms.ts'
import { segmentName } from '../../../server/log/log-names.ts'
import { silentLogger } from '../../../server/logger.ts'
import type { DiskSpace } from '../../../server/storage/disk-space.ts'
import { MemoryFiles } from '../../../server/storage/memory-files.ts'
import { eventually } from '../../support/eventually.ts'
import {
  batchesFrom,
  compact,
  entriesFrom,
  keyedBatch,
  openCompacted,
  recordsFrom,
  roll,
  write,
} from './compaction-fixture.ts'
import { DIR, findings } from './log-fixture.ts'

const segmentsIn = async (files: MemoryFiles) => (await files.list(DIR)).filter((name) => name.endsWith('.log'))

test('[CMP-1] the newest record of each key stays, at its offset; the segment that is written to is left alone', async () => {
  const files = new MemoryFiles()
  let log = await openCompacted({ files })
  await write(log, [
    ['a', '1'],
    ['b', '1'],
    ['a', '2'],
    ['c', '1'],
    ['b', '2'],
  ])
  await roll(log)
  await write(log, [
    ['a', '3'],
    ['a', '4'],
  ])
  expect(await log.compactionNeed()).toMatchObject({ reason: 'dirty', dirtyRatio: 1 })
  const report = await compact(log)
  expect(report).toMatchObject({ passes: 1, recordsRemoved: 2, skipped: [] })
  expect(report.bytesAfter).toBeLessThan(report.bytesBefore)
  const kept = ['2:a=2', '3:c=1', '4:b=2', '7:a=3', '8:a=4']
  expect(await entriesFrom(log)).toEqual(kept)
  expect(await log.compactionNeed()).toBeUndefined()
  expect(log.startOffset).toBe(0)
  for (let offset = 0; offset < 5; offset++) expect((await log.read(offset, 1)).nextOffset).toBeGreaterThan(offset)
  await log.close()
  expect(await findings(files)).toEqual([])
  log = await openCompacted({ files })
  expect(await entriesFrom(log)).toEqual(kept)
  expect(log.endOffset).toBe(9)
  await log.close()
})

test('[CMP-2] a tombstone stays delete.retention.ms from the pass that first met it, and nothing comes back', async () => {
  const clock = new HandClock()
  const files = new MemoryFiles()
  let log = await openCompacted({ files, clock })
  await write(log, [
    ['a', '1'],
    ['b', '1'],
    ['a', null],
  ])
  await roll(log)
  clock.advance(1_000_000)
  await compact(log)
  expect(await entriesFrom(log)).toEqual(['1:b=1', '2:a=null'])
  const marked = (await batchesFrom(log)).filter(({ header }) => hasDeleteHorizon(header))
  expect(marked.map(({ header }) => header.baseTimestamp)).toEqual([clock.now() + 60_000])
  expect(marked[0]!.records[0]).toMatchObject({ timestamp: 1_699_999_000_000 })
  clock.advance(59_000)
  expect(await log.compactionNeed()).toBeUndefined()
  await compact(log)
  expect(await entriesFrom(log)).toEqual(['1:b=1', '2:a=null'])
  await log.close()
  log = await openCompacted({ files, clock })
  clock.advance(1_000)
  expect(await log.compactionNeed()).toMatchObject({ reason: 'tombstones' })
  await compact(log)
  expect(await entriesFrom(log)).toEqual(['1:b=1'])
  expect(await log.compactionNeed()).toBeUndefined()
  await log.close()
})

test('[CMP-2] a tombstone goes in its time also behind a wall clock that runs ahead, between two milliseconds', async () => {
  const clock = new HandClock()
  const log = await openCompacted({ clock, config: { deleteRetentionMs: 0 } })
  await write(log, [['a', null]])
  await roll(log)
  clock.jumpWallTo(clock.now() + 3_600_000)
  clock.advance(0.3)
  const report = await compact(log)
  expect(report.skipped).toEqual([])
  clock.advance(1)
  expect(await log.compactionNeed()).toMatchObject({ reason: 'tombstones' })
  await compact(log)
  expect(await entriesFrom(log)).toEqual([])
  await log.close()
})

describe.each([1, 2, 3, 4] as const)('batches of codec %i', (codec: CodecId) => {
  test('[CMP-3] keep their codec, and what is left reads as it was sent', async () => {
    const log = await openCompacted({ config: { segmentBytes: 4000 } })
    const entries = Array.from({ length: 40 }, (_, index) => [`key-${index % 7}`, `value-${index}`.repeat(3)] as const)
    await log.append(await keyedBatch(entries, { codec })).durable
    await roll(log, 4000)
    await compact(log)
    const [batch] = await batchesFrom(log)
    expect(codecOf(batch!.header)).toBe(codec)
    expect(batch!.header).toMatchObject({ baseOffset: 0, lastOffsetDelta: 39, recordCount: 7 })
    const kept = await recordsFrom(log)
    expect(kept.slice(0, 7)).toEqual(
      entries.slice(33).map(([key, value], index) => {
        return { offset: 33 + index, timestamp: 1_699_999_000_033 + index, key, value }
      }),
    )
    expect(batch!.records[0]!.headers).toEqual([{ key: 'h', value: new TextEncoder().encode('v') }])
    await log.close()
  })
})

test('[CMP-4] a map that is too small for all keys takes several passes to the same end', async () => {
  const keys = 1500
  const open = () => openCompacted({ config: { segmentBytes: 20_000 } })
  const [large, small] = [await open(), await open()]
  for (const log of [large, small]) {
    for (let round = 0; round < 3; round++) {
      for (let from = 0; from < keys; from += 100) {
        const entries = Array.from({ length: 100 }, (_, index) => [`${from + index}`, `${round}`] as const)
        log.append(await keyedBatch(entries))
      }
    }
    await roll(log, 20_000)
  }
  expect((await compact(large)).passes).toBe(1)
  const report = await compact(small, { mapBytesMax: 24 * 1024 })
  expect(report.passes).toBeGreaterThan(3)
  expect(await entriesFrom(small)).toEqual(await entriesFrom(large))
  expect(await entriesFrom(small)).toHaveLength(keys)
  await Promise.all([large.close(), small.close()])
})

test('[CMP-5] small neighbours become one segment; one of which everything stays is not written', async () => {
  const files = new MemoryFiles()
  const log = await openCompacted({ files, config: { segmentBytes: 600 } })
  await write(
    log,
    Array.from({ length: 40 }, (_, index) => [`k${index % 2}`, `${index}`] as const),
  )
  await roll(log, 600)
  const before = (await segmentsIn(files)).length
  await compact(log)
  await write(log, [['k0', 'again']])
  await roll(log, 600)
  await compact(log)
  const names = await segmentsIn(files)
  expect(names.length).toBeLessThan(before)
  await write(
    log,
    ['x', 'y', 'z'].map((key) => [key, '1'] as const),
  )
  await roll(log, 600)
  const report = await compact(log)
  expect(report.recordsRemoved).toBe(0)
  expect(report.segmentsWritten).toBeLessThan(2)
  expect((await segmentsIn(files)).filter((name) => names.includes(name)).length).toBeGreaterThan(0)
  await log.close()
  expect(await findings(files)).toEqual([])
})

test('[CMP-6] the last batches of a producer leave their headers: it is known when all caches of the log are lost', async () => {
  const files = new MemoryFiles()
  let log = await openCompacted({ files })
  for (let sequence = 0; sequence < 8; sequence++) {
    await log.append(await keyedBatch([['k', `${sequence}`]], { producer: { id: 7, sequence } })).durable
  }
  await write(log, [['k', 'last']])
  await roll(log)
  await compact(log)
  expect(await entriesFrom(log)).toEqual(['8:k=last'])
  const known = log.producers()
  await log.close()
  for (const name of await files.list(DIR)) if (!name.endsWith('.log')) await files.remove(`${DIR}/${name}`)
  log = await openCompacted({ files })
  expect(log.recovery.fault).toBeUndefined()
  expect(log.producers()).toEqual(known)
  for (let sequence = 3; sequence < 8; sequence++) {
    const again = log.append(await keyedBatch([['k', `${sequence}`]], { producer: { id: 7, sequence } }))
    expect(again).toMatchObject({ duplicate: true, baseOffset: sequence })
  }
  await log.append(await keyedBatch([['k', 'next']], { producer: { id: 7, sequence: 8 } })).durable
  await log.close()
})

test('[CMP-7] records of aborted transactions go, committed ones count, nothing above the last stable offset is touched', async () => {
  const clock = new HandClock()
  const files = new MemoryFiles()
  const log = await openCompacted({ files, clock })
  const send = async (id: number, sequence: number, key: string, value: string) =>
    log.append(await keyedBatch([[key, value]], { producer: { id, sequence, isTransactional: true } })).durable
  const end = (producerId: number, outcome: 'commit' | 'abort') =>
    log.appendMarker({ producerId, producerEpoch: 0, coordinatorEpoch: 0, outcome }).durable
  await write(log, [
    ['a', 'old'],
    ['b', 'old'],
  ])
  await send(1, 0, 'a', 'aborted')
  await send(2, 0, 'b', 'committed')
  await end(1, 'abort')
  await end(2, 'commit')
  await roll(log)
  await send(3, 0, 'a', 'undecided')
  await roll(log)
  await compact(log)
  expect(await entriesFrom(log)).toEqual(['0:a=old', '3:b=committed', '8:a=undecided'])
  await end(3, 'commit')
  await send(1, 1, 'z', 'later')
  await end(1, 'commit')
  await send(1, 2, 'z', 'last')
  await end(1, 'commit')
  await write(log, [['b', 'new']])
  await roll(log)
  await compact(log)
  expect((await entriesFrom(log)).map((entry) => entry.split(':')[1])).toEqual(['a=undecided', 'z=last', 'b=new'])
  const markers = async () =>
    (await batchesFrom(log)).filter(({ header }) => isControl(header)).map(({ header }) => header)
  // The abort of producer 1, its first commit and producer 2's last marker: only the last is an anchor.
  expect((await markers()).map(({ producerId }) => producerId)).toEqual([1, 2, 3, 1, 1])
  clock.advance(120_000)
  await compact(log)
  expect((await markers()).map(({ producerId }) => producerId)).toEqual([2, 3, 1])
  expect(log.lastStableOffset).toBe(log.endOffset)
  await log.close()
  for (const name of await files.list(DIR)) if (!name.endsWith('.log')) await files.remove(`${DIR}/${name}`)
  const rebuilt = await openCompacted({ files, clock })
  expect(rebuilt.lastStableOffset).toBe(rebuilt.endOffset)
  expect(rebuilt.openTransactions()).toEqual([])
  await rebuilt.close()
})

test('[CMP-10] a batch that nobody can look into stays, is said, and does not hold up the rest', async () => {
  const log = await openCompacted()
  await write(log, [
    ['a', '1'],
    ['a', '2'],
  ])
  const broken = await keyedBatch(
    [
      ['a', '3'],
      ['x', '1'],
    ],
    { codec: 1 },
  )
  broken.fill(0xff, 70)
  const { sealBatch } = await import('../../../protocol/record-batch.ts')
  sealBatch(broken)
  await log.append(broken).durable
  await write(log, [
    ['b', '1'],
    ['b', '2'],
  ])
  await roll(log)
  const report = await compact(log)
  expect(report.skipped.join()).toContain('offset 2')
  expect(report.recordsRemoved).toBe(2)
  await expect(batchesFrom(log)).rejects.toThrow()
  expect((await entriesFrom(log, 4)).filter((entry) => entry.includes('b='))).toEqual(['5:b=2'])
  expect(await log.compactionNeed()).toBeUndefined()
  await log.close()
})

test('[CMP-11] records without a key stay, and records below the log start go', async () => {
  const log = await openCompacted()
  await log.append(
    await keyedBatch([
      [null, 'x'],
      ['a', '1'],
      [null, 'y'],
      ['a', '2'],
      ['b', '1'],
    ]),
  ).durable
  await roll(log)
  await log.deleteRecordsBefore(1)
  await compact(log)
  expect(await entriesFrom(log)).toEqual(['2:null=y', '3:a=2', '4:b=1'])
  expect((await batchesFrom(log))[0]!.records.map(({ offset }) => offset)).toEqual([2, 3, 4])
  await log.close()
})

test('[CMP-12] min.compaction.lag.ms keeps young records, max.compaction.lag.ms closes the segment and does not wait', async () => {
  const clock = new HandClock()
  const young = await openCompacted({ clock, config: { minCompactionLagMs: 100_000 } })
  await young.append(
    await keyedBatch(
      [
        ['a', '1'],
        ['a', '2'],
      ],
      { timestamp: clock.now() },
    ),
  ).durable
  await roll(young)
  expect(await young.compactionNeed()).toBeUndefined()
  clock.advance(100_002)
  expect(await young.compactionNeed()).toMatchObject({ reason: 'dirty' })
  await young.close()

  const config = { maxCompactionLagMs: 50_000, minCleanableDirtyRatio: 1 }
  const idle = await openCompacted({ clock, config })
  await idle.append(
    await keyedBatch(
      [
        ['a', '1'],
        ['a', '2'],
      ],
      { timestamp: clock.now() },
    ),
  ).durable
  expect(await idle.compactionNeed()).toBeUndefined()
  clock.advance(50_010)
  expect(await idle.compactionNeed()).toMatchObject({ reason: 'lag' })
  await compact(idle)
  expect(await entriesFrom(idle)).toEqual(['1:a=2'])
  expect(await idle.compactionNeed()).toBeUndefined()
  await idle.close()
})

test('[CMP-11] a record with neither key nor value stays, and no pass comes back for it', async () => {
  const clock = new HandClock()
  const log = await openCompacted({ clock })
  await write(log, [
    [null, null],
    ['a', null],
  ])
  await roll(log)
  await compact(log)
  clock.advance(120_000)
  expect(await log.compactionNeed()).toMatchObject({ reason: 'tombstones' })
  await compact(log)
  expect(await entriesFrom(log)).toEqual(['0:null=null'])
  expect(await log.compactionNeed()).toBeUndefined()
  await log.close()
})

test('[CMP-12] what is due and cannot be done, behind an open transaction, is looked at once in each check', async () => {
  const clock = new HandClock()
  const config = { ...relayConfigDefaults, compactionCheckMs: 1000 }
  const log = await openCompacted({ clock, config: { maxCompactionLagMs: 5000 } })
  const producer = { id: 7, sequence: 0, isTransactional: true }
  await log.append(await keyedBatch([['a', '1']], { producer })).durable
  await roll(log)
  clock.advance(10_000)
  expect(await log.compactionNeed()).toMatchObject({ reason: 'lag' })
  let looked = 0
  const watched = new Proxy(log, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name)
      if (name === 'compact' && ++looked > 20) void task.stop()
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
  const topic = { name: 't', partitions: [watched], config: { cleanupPolicy: 'compact' } }
  const engine = { topics: () => [topic] } as unknown as Engine
  const [random, commits] = [seededRandom(1), { running: 0, begun: 0 }]
  const space = { level: 'free' } as DiskSpace
  const task = new CompactionTask({
    engine,
    config,
    clock,
    random,
    logger: silentLogger,
    commits,
    space,
    isSpared: () => false,
  })
  for (let check = 1; check <= 3; check++) {
    clock.advance(1000)
    for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve))
    expect(looked).toBe(check)
  }
  await log.appendMarker({ producerId: 7, producerEpoch: 0, coordinatorEpoch: 0, outcome: 'commit' }).durable
  clock.advance(1000)
  await eventually(() => task.status.passes === 1)
  await task.stop()
  await log.close()
})

test('[CMP-37] a log that is half gaps is verified in a time that grows with its size alone', async () => {
  const [gap, batch] = [gapBatch(0, 1, 0), await keyedBatch([['a', '1']], { producer: { id: 7, sequence: 0 } })]
  const pairs = 50_000
  const bytes = new Uint8Array(pairs * (gap.length + batch.length))
  for (let pair = 0, at = 0; pair < pairs; pair++) {
    for (const [index, each] of [gap, batch].entries()) {
      bytes.set(each, at)
      writeBaseOffset(viewOf(bytes), at, 2 * pair + index)
      at += each.length
    }
  }
  const files = new MemoryFiles()
  await files.makeDir(DIR)
  await (await files.open(`${DIR}/${segmentName(0)}`, 'create')).writev([bytes], 0)
  const startedMs = performance.now()
  expect((await findings(files)).filter(({ severity }) => severity === 'error')).toEqual([])
  expect(performance.now() - startedMs).toBeLessThan(10_000)
}, 120_000)
