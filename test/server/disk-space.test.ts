/** A disk that fills up: producers are told before it is full, the rest goes on, and all of it resumes by itself. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, statfsSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { ErrorCode } from '../../protocol/errors.ts'
import { HandClock } from '../../protocol/lib/clock.ts'
import { fetch } from '../../protocol/messages/fetch.ts'
import { offsetCommit } from '../../protocol/messages/group-offsets.ts'
import { deleteRecords } from '../../protocol/messages/offsets.ts'
import { createTopics, deleteTopics } from '../../protocol/messages/topics.ts'
import { DiskSpace } from '../../server/storage/disk-space.ts'
import { MemoryFiles } from '../../server/storage/memory-files.ts'
import { eventually } from '../support/eventually.ts'
import { startRelay } from '../support/relay.ts'
import { batchOf, RelayClient } from '../support/relay-client.ts'

const MIB = 1024 * 1024
const turn = () => new Promise((resolve) => setImmediate(resolve))

test('[DSK-1] what logs take counts before the disk is asked again, and it is asked seldom', async () => {
  const files = new MemoryFiles({ capacityBytes: 100 * MIB })
  let asked = 0
  const counting = Object.assign(Object.create(files) as MemoryFiles, {
    freeBytes: async () => {
      asked++
      return files.freeBytes()
    },
    totalBytes: () => files.totalBytes(),
  })
  const clock = new HandClock()
  const levels: string[] = []
  const space = new DiskSpace({
    ...{ files: counting, dir: '/', clock, lowBytes: 40 * MIB, lowPercent: 20 },
    changed: ({ level }) => levels.push(level),
  })
  await space.start()
  expect(space.status).toEqual({ level: 'free', freeBytes: 100 * MIB, lowBytes: 20 * MIB, criticalBytes: 5 * MIB })
  for (let count = 0; count < 1000; count++) space.take(10)
  await turn()
  expect(asked).toBe(1)
  space.take(81 * MIB)
  expect(space.level).toBe('low')
  space.take(15 * MIB)
  expect(space.level).toBe('critical')
  await turn()
  // None of it was written after all: known for sure with the second look.
  clock.advance(1000)
  await turn()
  clock.advance(1000)
  await turn()
  expect(levels).toEqual(['low', 'critical', 'free'])
  await space.stop()
})

async function relayOn(
  files: MemoryFiles | undefined,
  dataDir: string,
  low: { diskLowBytes: number; diskLowPercent: number },
) {
  const relay = await startRelay({ files, config: { dataDir, ...low } })
  const client = await RelayClient.open(relay.websocket.url)
  return { relay, client, topicId: await client.createTopic('t', { configs: { 'segment.bytes': '1048576' } }) }
}

test('[DSK-2] below the first watermark producers are refused and the rest goes on, below the second new topics as well', async () => {
  const files = new MemoryFiles({ capacityBytes: 100 * MIB })
  const { relay, client, topicId } = await relayOn(files, '/data', { diskLowBytes: 8 * MIB, diskLowPercent: 100 })
  expect((await client.produce(topicId, batchOf('a'))).errorCode).toBe(0)
  files.capacityBytes = files.usedBytes + 5 * MIB
  await eventually(
    async () => (await client.produce(topicId, batchOf('b'))).errorCode === ErrorCode.KAFKA_STORAGE_ERROR,
  )
  const topic = (name: string) => ({ name, numPartitions: 1, replicationFactor: -1, assignments: [], configs: [] })
  const create = async (name: string) =>
    (await client.call(createTopics, { topics: [topic(name)], validateOnly: false })).topics[0]!.errorCode
  expect(await create('small')).toBe(0)
  const commit = async () => {
    const partitions = [{ partitionIndex: 0, committedOffset: 1, committedMetadata: '' }]
    const body = {
      groupId: 'g',
      generationIdOrMemberEpoch: -1,
      memberId: '',
      topics: [{ name: 't', topicId, partitions }],
    }
    return (await client.call(offsetCommit, body, 8)).topics[0]!.partitions[0]!.errorCode
  }
  expect(await commit()).toBe(0)
  files.capacityBytes = files.usedBytes + MIB
  await eventually(
    async () => (await create(`more-${Math.floor(performance.now())}`)) === ErrorCode.KAFKA_STORAGE_ERROR,
  )
  expect(await commit()).toBe(0)
  const partitions = [{ partition: 0, fetchOffset: 0, partitionMaxBytes: 1000 }]
  const read = await client.call(fetch, { maxWaitMs: 0, minBytes: 1, topics: [{ topicId, partitions }] })
  expect(read.responses[0]!.partitions[0]).toMatchObject({ errorCode: 0 })
  const deleted = await client.call(deleteRecords, {
    topics: [{ name: 't', partitions: [{ partitionIndex: 0, offset: 1 }] }],
    timeoutMs: 1000,
  })
  expect(deleted.topics[0]!.partitions[0]).toMatchObject({ errorCode: 0, lowWatermark: 1 })
  const gone = await client.call(deleteTopics, { topics: [{ name: 'small' }], timeoutMs: 1000 }, 6)
  expect(gone.responses[0]).toMatchObject({ errorCode: 0 })
  const ready = (await (await globalThis.fetch(`${relay.http.url}/readyz`)).json()) as { disk: { level: string } }
  expect(ready.disk.level).toBe('critical')
  files.capacityBytes = 100 * MIB
  const since = performance.now()
  await eventually(async () => (await client.produce(topicId, batchOf('c'))).errorCode === 0)
  expect(performance.now() - since).toBeLessThan(5000)
})

test('[DSK-3] 100 times full and free again: refused before a write fails, all that was acknowledged is there', async () => {
  const files = new MemoryFiles({ capacityBytes: 100 * MIB })
  const clock = new HandClock()
  const failures: string[] = []
  const space = new DiskSpace({ ...{ files, dir: '/', clock, lowBytes: MIB, lowPercent: 100 }, changed: () => {} })
  await space.start()
  const { openLog, valuesFrom } = await import('./log/log-fixture.ts')
  const log = await openLog({ files, clock, space, onFault: (fault) => failures.push(fault.message) })
  const acked: string[] = []
  for (let cycle = 0; cycle < 100; cycle++) {
    files.capacityBytes = files.usedBytes + MIB + 100_000
    for (let looks = 0; looks < 3; looks++) {
      clock.advance(5000)
      await turn()
    }
    let refused = 0
    for (let count = 0; count < 40 && refused === 0; count++) {
      try {
        const value = `${cycle}/${count}`.padEnd(8000, '.')
        const result = log.append(batchOf(value))
        await result.durable
        acked.push(`${result.baseOffset}:${value}`)
      } catch (error) {
        expect(error).toMatchObject({ code: ErrorCode.KAFKA_STORAGE_ERROR })
        refused++
      }
    }
    expect(refused).toBe(1)
    expect(files.capacityBytes - files.usedBytes).toBeGreaterThan(MIB / 2)
    files.capacityBytes = 100 * MIB + files.usedBytes
    for (let looks = 0; looks < 3; looks++) {
      clock.advance(1000)
      await turn()
    }
    expect(space.level).toBe('free')
  }
  expect(failures).toEqual([])
  expect(acked.length).toBeGreaterThan(300)
  expect(await valuesFrom(log, 0, 100_000)).toEqual(acked)
  await log.close()
  await space.stop()
})

const isRoot = process.getuid?.() === 0 && process.platform === 'linux'

test('[DSK-4] on a real small file system, full and free again', async (context) => {
  const dir = mkdtempSync(join(tmpdir(), 'ottla-small-'))
  const mounted = isRoot && tryTo(() => execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64m', 'tmpfs', dir]))
  onTestFinished(() => {
    if (mounted) tryTo(() => execFileSync('umount', ['-l', dir]))
    rmSync(dir, { recursive: true, force: true })
  })
  if (!mounted) return context.skip('needs root, and the right to mount a tmpfs')
  const { client, topicId } = await relayOn(undefined, join(dir, 'data'), {
    diskLowBytes: 1024 * MIB,
    diskLowPercent: 25,
  })
  const ballast = join(dir, 'ballast')
  writeFileSync(ballast, '')
  let acked = 0
  for (let cycle = 0; cycle < 3; cycle++) {
    const { bavail, bsize } = statfsSync(dir)
    writeFileSync(ballast, new Uint8Array(Math.max(0, bavail * bsize - 17 * MIB)))
    const answer = async () => client.produce(topicId, batchOf('x'.repeat(500_000)))
    await eventually(async () => {
      const { errorCode } = await answer()
      if (errorCode === 0) acked++
      else expect(errorCode).toBe(ErrorCode.KAFKA_STORAGE_ERROR)
      return errorCode !== 0
    })
    const left = statfsSync(dir)
    // What others take at a stroke is noticed with the next look.
    expect(left.bavail * left.bsize).toBeGreaterThan(MIB)
    truncateSync(ballast)
    const since = performance.now()
    await eventually(async () => {
      const { errorCode } = await answer()
      if (errorCode === 0) acked++
      return errorCode === 0
    })
    expect(performance.now() - since).toBeLessThan(5000)
  }
  const log = client
  expect(log.closed).toBeUndefined()
  const partitions = [{ partition: 0, fetchOffset: acked, partitionMaxBytes: 1000 }]
  const read = await client.call(fetch, { maxWaitMs: 0, minBytes: 1, topics: [{ topicId, partitions }] })
  expect(read.responses[0]!.partitions[0]).toMatchObject({ errorCode: 0, highWatermark: acked })
})

function tryTo(act: () => unknown): boolean {
  try {
    act()
    return true
  } catch {
    return false
  }
}
