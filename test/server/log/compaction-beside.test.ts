/** Compaction beside what else happens to a log: readers, damage, truncation, retention, a close, a full disk, a lost manifest. */
import { expect, test } from 'vitest'
import { HandClock } from '../../../protocol/lib/clock.ts'
import { segmentName } from '../../../server/log/log-names.ts'
import { MemoryFiles } from '../../../server/storage/memory-files.ts'
import { eventually } from '../../support/eventually.ts'
import { FaultyFiles } from '../../support/faulty-files.ts'
import { compact, entriesFrom, keyedBatch, openCompacted, roll, tools, write } from './compaction-fixture.ts'
import { DIR, damage, findings, flipBit } from './log-fixture.ts'

const segmentsIn = async (files: MemoryFiles) => (await files.list(DIR)).filter((name) => name.endsWith('.log'))

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
