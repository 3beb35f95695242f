/** A disk that fails: what was acknowledged stays readable, nothing else is ever acknowledged. */
import { expect, test } from 'vitest'
import { ErrorCode } from '../../../protocol/errors.ts'
import { HandClock } from '../../../protocol/lib/clock.ts'
import { seededRandom } from '../../../protocol/lib/random.ts'
import { QUEUED_BYTES_MAX } from '../../../server/log/append-gate.ts'
import { MemoryFiles } from '../../../server/storage/memory-files.ts'
import { batchOf, batchOfSize } from '../../support/batches.ts'
import { FaultyFiles } from '../../support/faulty-files.ts'
import { appendEach, DIR, openLog, valuesFrom } from './log-fixture.ts'

const storageError = expect.objectContaining({ code: ErrorCode.KAFKA_STORAGE_ERROR })

test('[LOG-30] after a failed sync nothing is acknowledged any more, and what was stays readable', async () => {
  const memory = new MemoryFiles({ tracksPower: true })
  const files = new FaultyFiles(memory)
  const faults: string[] = []
  const log = await openLog({ files, onFault: (fault) => faults.push(fault.kind) })
  await appendEach(log, ['a', 'b'])
  const fault = files.fail({ call: 'sync', path: /\.log$/, code: 'EIO' })
  const first = log.append(batchOf(['c'])).durable
  const second = log.append(batchOf(['d'])).durable
  await expect(first).rejects.toThrow(storageError)
  await expect(second).rejects.toThrow(storageError)
  expect(fault.count).toBe(1)
  expect(faults).toEqual(['write'])
  expect(log.state).toBe('offline')
  expect(() => log.append(batchOf(['e']))).toThrow(storageError)
  expect(await valuesFrom(log)).toEqual(['0:a', '1:b'])
  await log.close()
  expect(await memory.list(DIR)).not.toContain('clean')
  for (const disk of [memory.powerCut('dropped', seededRandom(1)), memory]) {
    const again = await openLog({ files: disk })
    expect(again.fault).toBeUndefined()
    expect(await valuesFrom(again)).toEqual(['0:a', '1:b'])
    await appendEach(again, ['f'])
    await again.close()
  }
})

test('[LOG-36] a process that died while a sync failed: what it had written is written again, and what follows is safe', async () => {
  const memory = new MemoryFiles({ tracksPower: true })
  const files = new FaultyFiles(memory)
  const log = await openLog({ files })
  await appendEach(log, ['a'])
  files.fail({ call: 'sync', path: /\.log$/, code: 'EIO' })
  files.fail({ call: 'truncate', path: /\.log$/, code: 'EIO' })
  await expect(log.append(batchOf(['b'])).durable).rejects.toThrow(storageError)
  // The kernel takes the pages for clean from now on, though they never got to the disk.
  const name = (await memory.list(DIR)).find((each) => each.endsWith('.log'))!
  memory.failSync(`${DIR}/${name}`, { next: () => 1, bytes: (count) => new Uint8Array(count) })
  await log.close()
  const next = await openLog({ files: memory })
  expect(await valuesFrom(next)).toEqual(['0:a', '1:b'])
  await appendEach(next, ['c'])
  const last = await openLog({ files: memory.powerCut('dropped', seededRandom(1)) })
  expect(last.fault).toBeUndefined()
  expect(await valuesFrom(last)).toEqual(['0:a', '1:b', '2:c'])
})

test('[LOG-31] any call that fails once, at any moment: appends fail or succeed, no acknowledged record is lost', async () => {
  const seed = 99
  const random = seededRandom(seed)
  let struck = 0
  for (const code of ['EIO', 'ENOSPC', 'EMFILE']) {
    for (let at = 1; at < 120; at++) {
      const memory = new MemoryFiles({ tracksPower: true })
      const files = new FaultyFiles(memory)
      const fault = files.fail({ call: 'any', at, code })
      const config = { segmentBytes: 400, retentionBytes: 2000 }
      const acked: string[] = []
      const log = await openLog({ files, config, checkpointBytes: 200 }).catch(() => undefined)
      for (let index = 0; log && index < 20; index++) {
        const value = `${index}`.padEnd(1 + Math.floor(random.next() * 60), '.')
        try {
          const result = log.append(batchOf([value]))
          await result.durable
          acked.push(`${result.baseOffset}:${value}`)
        } catch (error) {
          expect(error).toEqual(storageError)
        }
        if (index === 12) await log.enforceRetention().catch(() => {})
      }
      const start = log?.startOffset ?? 0
      await log?.close()
      if (fault.count > 0) struck++
      const again = await openLog({ files: memory.powerCut('dropped', random), config })
      const where = `seed ${seed}, ${code} at call ${at}`
      expect(again.fault, where).toBeUndefined()
      const found = await valuesFrom(again)
      const expected = acked.filter((value) => Number.parseInt(value, 10) >= Math.max(start, again.startOffset))
      expect(found, where).toEqual(expect.arrayContaining(expected))
      await again.close()
    }
  }
  expect(struck).toBeGreaterThan(300)
})

test('[LOG-32] short writes are finished', async () => {
  const files = new FaultyFiles(new MemoryFiles())
  const log = await openLog({ files })
  const short = files.fail({ call: 'writev', path: /\.log$/, times: 3, shortBytes: 20 })
  await log.append(batchOf(['a', 'b', 'c'])).durable
  expect(short.count).toBe(3)
  log.append(batchOf(['d']))
  await log.append(batchOf(['e'])).durable
  await log.close()
  const again = await openLog({ files })
  expect(await valuesFrom(again)).toEqual(['0:a', '1:b', '2:c', '3:d', '4:e'])
  await again.close()
})

test('[LOG-33] a full disk refuses appends, serves reads, and takes appends again when there is room', async () => {
  const memory = new MemoryFiles({ capacityBytes: 40_000 })
  const clock = new HandClock()
  const log = await openLog({ files: memory, clock })
  const acked: number[] = []
  const send = async () => {
    const result = log.append(batchOfSize(3000, { producer: { id: 5, sequence: acked.length } }))
    await result.durable
    acked.push(result.baseOffset)
  }
  for (let round = 0; round < 20; round++) {
    memory.capacityBytes = memory.usedBytes + 10_000
    await expect(async () => {
      for (;;) await send()
    }).rejects.toThrow(storageError)
    expect(log.state).toBe('online')
    await expect(send).rejects.toThrow(storageError)
    expect((await valuesFrom(log)).length).toBe(acked.length)
    memory.capacityBytes = memory.usedBytes + 64 * 1024 * 1024
    // Looked for by itself: what is written seldom is not refused long after.
    await clock.advanceAsync(1001)
    await send()
    expect(log.endOffset).toBe(acked.length)
  }
  expect(acked).toEqual(acked.map((_, index) => index))
  await log.close()
  const again = await openLog({ files: memory, clock })
  expect((await valuesFrom(again)).length).toBe(acked.length)
  await again.close()
})

test('[LOG-34] more than the queue may hold is refused with an error that says to send again', async () => {
  const files = new FaultyFiles(new MemoryFiles())
  let letGo = () => {}
  files.fail({ call: 'sync', path: /\.log$/, until: new Promise<void>((resolve) => (letGo = resolve)) })
  const log = await openLog({ files, config: { maxMessageBytes: 8 * 1024 * 1024 } })
  const size = 4 * 1024 * 1024
  const waiting = []
  for (let queued = 0; queued + size + 100 < QUEUED_BYTES_MAX; queued += size + 100) {
    waiting.push(log.append(batchOfSize(size)).durable)
  }
  expect(() => log.append(batchOfSize(size))).toThrow(
    expect.objectContaining({ code: ErrorCode.REQUEST_TIMED_OUT, retriable: true }),
  )
  letGo()
  await Promise.all(waiting)
  await log.append(batchOfSize(size)).durable
  await log.close()
})

test('[LOG-35] a truncation that fails half-way is finished or forgotten at the next start; no append comes between', async () => {
  let struck = 0
  for (let at = 1; at < 60; at++) {
    const memory = new MemoryFiles()
    const files = new FaultyFiles(memory)
    const log = await openLog({ files, config: { segmentBytes: 200 } })
    await appendEach(log, ['a', 'b', 'c', 'd', 'e', 'f'])
    const fault = files.fail({ call: 'any', at, code: 'EIO' })
    const cut = await log.truncateTo(1).catch(() => undefined)
    const extra = cut === undefined ? undefined : ['1:g']
    if (fault.count > 0) struck++
    if (cut === undefined) expect(() => log.append(batchOf(['g']))).toThrow(storageError)
    else await log.append(batchOf(['g'])).durable.catch(() => extra?.pop())
    await log.close().catch(() => {})
    const again = await openLog({ files: memory })
    expect(again.fault).toBeUndefined()
    const values = await valuesFrom(again)
    if (extra) expect(values).toEqual(['0:a', ...extra])
    else expect([1, 6]).toContain(values.length)
    await again.close()
  }
  expect(struck).toBeGreaterThan(20)
})
