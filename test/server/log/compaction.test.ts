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
import { FaultyFiles } from '../../support/faulty-files.ts'
import {
  batchesFrom,
  compact,
  entriesFrom,
  keyedBatch,
  openCompacted,
  recordsFrom,
  roll,
  tools,
  write,
} from './compaction-fixture.ts'
import { DIR, damage, findings, flipBit } from './log-fixture.ts'

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

test('[CMP-8] a reader that holds an old segment gets its bytes; the next one reads on in the new', async () => {
  const memory = new MemoryFiles()
  let log = await openCompacted({ files: memory })
  await write(log, [
    ['a', '1'],
    ['b', '1'],
    ['a', '2'],
    ['b', '2'],
  ])
  await roll(log)
  await log.close()
  const files = new FaultyFiles(memory)
  log = await openCompacted({ files })
  let letGo = () => {}
  const until = new Promise<void>((resolve) => (letGo = resolve))
  const held = files.fail({ call: 'read', path: /0000\.log$/, until })
  const reading = log.read(0, 200)
  while (held.count === 0) await new Promise((resolve) => setImmediate(resolve))
  await compact(log)
  expect(await memory.list(DIR)).toContain('00000000000000000000.log')
  letGo()
  const old = await reading
  expect(old).toMatchObject({ baseOffset: 0, nextOffset: 2 })
  expect((await log.read(old.nextOffset, 50)).baseOffset).toBe(2)
  await log.close()
  expect(await memory.list(DIR)).not.toContain('00000000000000000000.log')
})

test('[CMP-9] a damaged segment is said and left as it is, the others are compacted, and no tombstone goes behind it', async () => {
  const clock = new HandClock()
  const files = new MemoryFiles()
  let log = await openCompacted({ files, clock })
  await write(log, [
    ['a', '1'],
    ['b', '1'],
    ['c', '1'],
    ['c', '2'],
  ])
  await roll(log)
  const second = log.endOffset
  await write(log, [
    ['a', null],
    ['b', '2'],
    ['b', '3'],
  ])
  await roll(log)
  await log.close()
  const name = (await segmentsIn(files))[0]!
  await damage(files, name, (bytes) => flipBit(bytes, 70))
  const warnings: string[] = []
  log = await openCompacted({ files, clock, logger: { warn: (message) => warnings.push(message) } })
  const report = await compact(log)
  expect(report.skipped).toHaveLength(1)
  expect(warnings.join()).toContain(name)
  expect(log.state).toBe('online')
  clock.advance(120_000)
  await compact(log)
  expect((await entriesFrom(log, second)).map((entry) => entry.split(':')[1])).toEqual(['a=null', 'b=3'])
  expect(await log.compactionNeed()).toBeUndefined()
  await log.close()
  // The disk is put right: what was passed over is made up for, and only then the tombstone's time begins.
  await damage(files, name, (bytes) => flipBit(bytes, 70))
  log = await openCompacted({ files, clock })
  expect(await log.compactionNeed()).toMatchObject({ reason: 'retry' })
  await compact(log)
  expect((await entriesFrom(log)).map((entry) => entry.split(':')[1])).toEqual(['c=2', 'a=null', 'b=3'])
  clock.advance(120_000)
  await compact(log)
  expect((await entriesFrom(log)).map((entry) => entry.split(':')[1])).toEqual(['c=2', 'b=3'])
  await log.close()
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

test('[CMP-13] closing and truncating end a compaction under way, and leave the log as good as before', async () => {
  const files = new MemoryFiles()
  let log = await openCompacted({ files })
  await write(
    log,
    Array.from({ length: 60 }, (_, index) => [`k${index % 3}`, `${index}`] as const),
  )
  await roll(log)
  let rests = 0
  const never = {
    isDue: true,
    spend: () => {},
    rest: () => (rests++ < 20 ? Promise.resolve() : new Promise<void>(() => {})),
  }
  const running = log.compact(tools({ pace: never }))
  running.catch(() => {})
  while (rests < 20) await new Promise((resolve) => setImmediate(resolve))
  await log.truncateTo(50)
  await expect(running).rejects.toThrow('stopped')
  rests = 0
  const second = log.compact(tools({ pace: never }))
  second.catch(() => {})
  while (rests < 20) await new Promise((resolve) => setImmediate(resolve))
  await log.close()
  await expect(second).rejects.toThrow('stopped')
  log = await openCompacted({ files })
  expect(log.endOffset).toBe(50)
  expect((await files.list(DIR)).filter((name) => name.includes('new'))).toEqual([])
  expect((await entriesFrom(log)).slice(-3)).toEqual(['47:k2=47', '48:k0=48', '49:k1=49'])
  await log.close()
})

test('[CMP-14] a truncation into what was compacted keeps what lies before it', async () => {
  const files = new MemoryFiles()
  const log = await openCompacted({ files })
  await write(
    log,
    Array.from({ length: 30 }, (_, index) => [`k${index}`, 'x'.repeat(60)] as const),
  )
  await write(log, [['k0', 'again']])
  await roll(log)
  await compact(log)
  await log.truncateTo(12)
  expect(await entriesFrom(log)).toHaveLength(11)
  await write(log, [['k1', 'after']])
  await roll(log)
  await compact(log)
  expect((await entriesFrom(log)).at(-1)).toBe('12:k1=after')
  expect(await entriesFrom(log)).toHaveLength(11)
  await log.close()
  expect(await findings(files)).toEqual([])
})

test('[CMP-15] with the manifest lost the names of the files tell the old from the new', async () => {
  const files = new MemoryFiles({ tracksPower: true })
  let log = await openCompacted({ files, config: { segmentBytes: 700 } })
  await write(
    log,
    Array.from({ length: 30 }, (_, index) => [`k${index % 4}`, `${index}`] as const),
  )
  await roll(log, 700)
  const kept = files.powerCut('kept', { next: () => 0, bytes: (count) => new Uint8Array(count) })
  await compact(log)
  const entries = await entriesFrom(log)
  await log.close()
  // A deletion of the old files that never came about.
  for (const name of await kept.list(DIR)) {
    if ((await files.stat(`${DIR}/${name}`)) || !name.endsWith('.log')) continue
    const from = await kept.open(`${DIR}/${name}`, 'read')
    const bytes = new Uint8Array(await from.size())
    await from.read(bytes, 0)
    await (await files.open(`${DIR}/${name}`, 'create')).writev([bytes], 0)
  }
  for (const name of ['manifest', 'clean']) await files.remove(`${DIR}/${name}`)
  expect((await findings(files)).filter(({ severity }) => severity === 'error')).toEqual([])
  log = await openCompacted({ files, config: { segmentBytes: 700 } })
  expect(log.fault).toBeUndefined()
  expect(await entriesFrom(log)).toEqual(entries)
  await write(log, [['k0', 'more']])
  await log.close()
  log = await openCompacted({ files })
  expect(log.recovery.removed.length).toBeGreaterThan(0)
  expect((await entriesFrom(log)).slice(0, -1)).toEqual(entries)
  await log.close()
  expect(await findings(files)).toEqual([])
})

test('[CMP-16] with compact,delete whole segments go by age and size, too; with compact alone they stay', async () => {
  for (const cleanupPolicy of ['compact', 'compact,delete'] as const) {
    const clock = new HandClock()
    const log = await openCompacted({ clock, config: { cleanupPolicy, retentionMs: 1000 } })
    await write(log, [
      ['a', '1'],
      ['b', '1'],
      ['a', '2'],
    ])
    await roll(log)
    await compact(log)
    clock.advance(2_000_000)
    await log.enforceRetention()
    expect(log.startOffset > 0).toBe(cleanupPolicy === 'compact,delete')
    await log.close()
  }
})

test('[CMP-13] segments that a failed compaction had replaced are the log again after a full disk, and are kept', async () => {
  const clock = new HandClock()
  const memory = new MemoryFiles()
  const files = new FaultyFiles(memory)
  const config = { segmentMs: 1000 }
  let log = await openCompacted({ files, clock, config })
  for (const [key, value] of [...'abacd'].map((key, index) => [key, `${index}`] as const)) {
    await write(log, [[key, value]])
    clock.advance(2000)
  }
  const full = files.fail({ call: 'writev', path: /manifest|\d\.log$/, code: 'ENOSPC', times: 100 })
  await expect(compact(log)).rejects.toMatchObject({ code: 'ENOSPC' })
  await expect(write(log, [['e', '5']])).rejects.toThrow(/is full/)
  expect(full.count).toBeGreaterThan(1)
  full.heal()
  await clock.advanceAsync(1000)
  await write(log, [['e', '5']])
  await compact(log)
  const kept = ['1:b=1', '2:a=2', '3:c=3', '4:d=4', '5:e=5']
  expect(await entriesFrom(log)).toEqual(kept)
  await log.close()
  expect(await findings(memory)).toEqual([])
  log = await openCompacted({ files: memory, clock })
  expect(log.fault).toBeUndefined()
  expect(await entriesFrom(log)).toEqual(kept)
  await log.close()
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
  const task = new CompactionTask({ engine, config, clock, random, logger: silentLogger, commits, space })
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

test('[CMP-8] a reader of committed records whose segment is replaced while it looks for aborted ones reads on in the new', async () => {
  const [memory, clock] = [new MemoryFiles(), new HandClock()]
  let log = await openCompacted({ files: memory, clock })
  const producer = { id: 7, sequence: 0, isTransactional: true }
  await write(log, [
    ['a', '1'],
    ['a', '2'],
  ])
  await log.append(await keyedBatch([['b', '1']], { producer })).durable
  await log.appendMarker({ producerId: 7, producerEpoch: 0, coordinatorEpoch: 0, outcome: 'abort' }).durable
  await roll(log)
  await log.close()
  const files = new FaultyFiles(memory)
  log = await openCompacted({ files, clock })
  let goOn = () => {}
  const held = new Promise<void>((resolve) => {
    goOn = resolve
  })
  const late = files.fail({ call: 'open', path: /0\.index$/, until: held })
  const reading = log.readCommitted(0, 1000)
  await eventually(() => late.count === 1)
  await compact(log)
  await eventually(async () => !(await segmentsIn(memory)).includes(segmentName(0)))
  goOn()
  expect((await reading).nextOffset).toBeGreaterThan(0)
  expect(log.state).toBe('online')
  await log.close()
})
