/** What a damaged data folder gets: found, named, never served, never shortened in silence. */
import { expect, test } from 'vitest'
import { ErrorCode } from '../../../protocol/errors.ts'
import { HandClock } from '../../../protocol/lib/clock.ts'
import { randomBelow, seededRandom } from '../../../protocol/lib/random.ts'
import { segmentName } from '../../../server/log/log-names.ts'
import { OpenFileLimit } from '../../../server/log/open-file-limit.ts'
import { type Files, readWholeFile } from '../../../server/storage/files.ts'
import { MemoryFiles } from '../../../server/storage/memory-files.ts'
import { batchOf } from '../../support/batches.ts'
import { appendEach, DIR, damage, findings, flipBit, killed, openLog, valuesFrom } from './log-fixture.ts'

const VALUES = Array.from({ length: 12 }, (_, index) => `value-${index}`)
const config = { segmentBytes: 400 }

async function written(isClosed: boolean): Promise<{ files: MemoryFiles; segments: string[] }> {
  const files = new MemoryFiles({ tracksPower: true })
  const clock = new HandClock()
  const log = await openLog({ files, clock, config })
  await appendEach(log, VALUES)
  const after = isClosed ? files : await killed(files, clock)
  if (isClosed) await log.close()
  return { files: after, segments: (await after.list(DIR)).filter((name) => name.endsWith('.log')) }
}

const copyOf = (files: MemoryFiles) => files.powerCut('kept', seededRandom(0))

test('an undamaged log has nothing to report', async () => {
  expect(await findings((await written(true)).files)).toEqual([])
  expect(await findings((await written(false)).files)).toEqual([])
})

test('[LOG-20] any flipped bit in a segment is found; what is served is what was written', async () => {
  const seed = 4711
  const random = seededRandom(seed)
  const expected = VALUES.map((value, offset) => `${offset}:${value}`)
  for (const isClosed of [true, false]) {
    const { files, segments } = await written(isClosed)
    for (let round = 0; round < 150; round++) {
      const disk = copyOf(files)
      const segment = segments[randomBelow(random, segments.length)]!
      const sizeBytes = (await disk.stat(`${DIR}/${segment}`))!.sizeBytes
      const at = randomBelow(random, sizeBytes)
      const inBatch = at % (sizeBytes / Math.round(sizeBytes / 76))
      await damage(disk, segment, (bytes) => flipBit(bytes, at, randomBelow(random, 8)))
      const log = await openLog({ files: disk, config })
      const served = await valuesFrom(log)
        .catch(() => valuesFrom(log, log.startOffset, 1))
        .catch(() => [])
      expect(served, `seed ${seed}, round ${round}, ${segment} at ${at}`).toEqual(expected.slice(0, served.length))
      // The leader epoch of a batch lies outside its checksum, like its base offset; only the latter is known otherwise.
      const isEpoch = Math.floor(inBatch) >= 12 && Math.floor(inBatch) < 16
      if (!isEpoch) {
        expect(log.state, `seed ${seed}, round ${round}, ${segment} at ${at}`).toBe('offline')
        expect(log.fault).toMatchObject({ file: segment })
        expect(() => log.append(batchOf(['more']))).toThrow(
          expect.objectContaining({ code: ErrorCode.KAFKA_STORAGE_ERROR }),
        )
      }
      await log.close()
      if (!isEpoch) expect((await findings(disk)).filter(({ severity }) => severity === 'error')).not.toEqual([])
    }
  }
})

test('[LOG-21] a file that was cut short is reported, at whatever byte, and keeps what is left', async () => {
  for (const isClosed of [true, false]) {
    const { files, segments } = await written(isClosed)
    for (const segment of segments) {
      const sizeBytes = (await files.stat(`${DIR}/${segment}`))!.sizeBytes
      for (let keep = 0; keep < sizeBytes; keep += 7) {
        const disk = copyOf(files)
        await damage(disk, segment, (bytes) => bytes.slice(0, keep))
        const log = await openLog({ files: disk, config })
        expect(log.state, `${segment} cut to ${keep}`).toBe('offline')
        await log.close()
        expect((await readWholeFile(disk, `${DIR}/${segment}`))!.length).toBe(keep)
      }
    }
  }
})

test('[LOG-22] a missing segment takes the partition offline from its first offset on', async () => {
  for (const isClosed of [true, false]) {
    const { files, segments } = await written(isClosed)
    for (const segment of segments) {
      const disk = copyOf(files)
      await disk.remove(`${DIR}/${segment}`)
      const log = await openLog({ files: disk, config })
      const first = Number.parseInt(segment, 10)
      expect(log.fault).toMatchObject({ file: segment, offset: first })
      for (let offset = 0; offset < VALUES.length; offset++) {
        const read = log.read(offset, 1)
        if (offset < first) expect((await read).baseOffset).toBe(offset)
        else await expect(read).rejects.toMatchObject({ code: expect.any(Number) })
      }
      await log.close()
      expect(await disk.list(DIR)).toContain(segments.find((name) => name !== segment))
    }
  }
})

test('[LOG-23] bad bytes in the unfinished last commit are cut and reported; in a finished one they are damage', async () => {
  const clock = new HandClock()
  const files = new MemoryFiles({ tracksPower: true })
  const log = await openLog({ files, clock })
  await appendEach(log, ['a', 'b'])
  log.append(batchOf(['c']))
  log.append(batchOf(['d']))
  await log.append(batchOf(['e'])).durable
  const disk = await killed(files, clock)
  // As after a power cut: the kernel had not yet written the sync point.
  await disk.remove(`${DIR}/synced`)
  const batchBytes = (await disk.stat(`${DIR}/${segmentName(0)}`))!.sizeBytes / 5

  const torn = copyOf(disk)
  await damage(torn, segmentName(0), (bytes) => flipBit(bytes, 3 * batchBytes + 65))
  const cut = await openLog({ files: torn, clock })
  expect(cut.recovery.cut).toEqual({
    file: segmentName(0),
    position: 3 * batchBytes,
    bytes: 2 * batchBytes,
    offset: 3,
    wholeBatches: 1,
    reason: 'a batch with a wrong checksum',
  })
  expect(cut.leaderEpoch).toBe(1)
  expect(await valuesFrom(cut)).toEqual(['0:a', '1:b', '2:c'])
  await appendEach(cut, ['new'])
  expect(await valuesFrom(cut, 3)).toEqual(['3:new'])
  expect(cut.endOffsetForEpoch(0)).toEqual({ epoch: 0, endOffset: 3 })
  await cut.close()

  const damaged = copyOf(disk)
  await damage(damaged, segmentName(0), (bytes) => flipBit(bytes, batchBytes + 65))
  const offline = await openLog({ files: damaged, clock })
  expect(offline.fault).toMatchObject({ kind: 'corrupt', position: batchBytes, offset: 1 })
  expect((await damaged.stat(`${DIR}/${segmentName(0)}`))!.sizeBytes).toBe(5 * batchBytes)
  await expect(offline.read(3, 100)).rejects.toMatchObject({ code: ErrorCode.KAFKA_STORAGE_ERROR })
  expect((await offline.read(0, 1)).nextOffset).toBe(1)
  await expect(offline.read(1, 100)).rejects.toMatchObject({ code: ErrorCode.KAFKA_STORAGE_ERROR })
})

test('[LOG-24] zeros behind the last batch are its end', async () => {
  const { files, segments } = await written(false)
  await damage(files, segments.at(-1)!, (bytes) => {
    const longer = new Uint8Array(bytes.length + 9000)
    longer.set(bytes)
    return longer
  })
  const log = await openLog({ files, config })
  expect(log.recovery).toMatchObject({ cut: undefined, fault: undefined })
  expect(await valuesFrom(log)).toHaveLength(VALUES.length)
  await log.close()
})

test('[LOG-25] manifest, indexes and snapshots are made anew when they are lost or damaged', async () => {
  for (const isClosed of [true, false]) {
    const { files } = await written(isClosed)
    const caches = (await files.list(DIR)).filter((name) => !name.endsWith('.log') && name !== 'synced')
    for (const name of [...caches, 'all']) {
      for (const how of ['lost', 'damaged']) {
        const disk = copyOf(files)
        for (const each of name === 'all' ? caches : [name]) {
          if (how === 'lost') await disk.remove(`${DIR}/${each}`)
          else await damage(disk, each, (bytes) => flipBit(bytes, Math.floor(bytes.length / 2)))
        }
        const log = await openLog({ files: disk, config })
        expect(log.fault, `${name} ${how}`).toBeUndefined()
        expect(await valuesFrom(log)).toEqual(VALUES.map((value, offset) => `${offset}:${value}`))
        for (let offset = 0; offset < VALUES.length; offset++) {
          expect((await log.read(offset, 1)).baseOffset).toBe(offset)
        }
        await appendEach(log, ['more'])
        await log.close()
        expect((await findings(disk)).filter(({ severity }) => severity === 'error')).toEqual([])
      }
    }
  }
})

test('[LOG-26] a scrub finds damage that nobody has read yet', async () => {
  const { files, segments } = await written(true)
  await damage(files, segments[1]!, (bytes) => flipBit(bytes, 100))
  const faults: string[] = []
  const log = await openLog({ files, config, onFault: (fault) => faults.push(fault.file) })
  expect(log.state).toBe('online')
  await expect(async () => {
    for await (const offset of log.scrub(100)) expect(offset).toBeGreaterThan(0)
  }).rejects.toMatchObject({ code: ErrorCode.KAFKA_STORAGE_ERROR })
  expect(faults).toEqual([segments[1]])
  expect(log.state).toBe('offline')
  await log.close()
  const reopened = await openLog({ files: copyOf(files), config })
  expect(reopened.recovery.isClean).toBe(true)
  await reopened.close()
})

test('[LOG-22] nothing is deleted from an offline log: its start stays, its files stay', async () => {
  const { files, segments } = await written(true)
  await damage(files, segments[1]!, (bytes) => flipBit(bytes, 100))
  await files.remove(`${DIR}/manifest`)
  await files.remove(`${DIR}/clean`)
  const log = await openLog({ files, config })
  expect(log.state).toBe('offline')
  await expect(log.deleteRecordsBefore(1)).rejects.toMatchObject({ code: ErrorCode.KAFKA_STORAGE_ERROR })
  expect(log.startOffset).toBe(0)
  await log.close()
  expect(await files.list(DIR)).not.toContain('manifest')
})

test('[LOG-51] a log whose manifest is lost opens no more files at once than the limit', async () => {
  const { files, segments } = await written(true)
  expect(segments.length).toBeGreaterThan(2)
  await files.remove(`${DIR}/manifest`)
  await files.remove(`${DIR}/clean`)
  let open = 0
  const counting: Files = new Proxy(files, {
    get(target, name) {
      if (name !== 'open') return Reflect.get(target, name).bind(target)
      return async (path: string, mode: 'read' | 'edit' | 'create') => {
        const file = await target.open(path, mode)
        if (path.endsWith('.log')) open++
        return { ...file, close: () => file.close().finally(() => path.endsWith('.log') && open--) }
      }
    },
  })
  const log = await openLog({ files: counting, config, limit: new OpenFileLimit(1) })
  expect(log.fault).toBeUndefined()
  // One closed, and the one that is written to.
  expect(open).toBeLessThanOrEqual(2)
  await log.close()
  expect(open).toBe(0)
})
