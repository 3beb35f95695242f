/** What repair makes of a damaged log: everything that can be read, where it was; a hole for the rest, told exactly. */
import { expect, test } from 'vitest'
import { HandClock } from '../../../protocol/lib/clock.ts'
import { type Random, randomBelow, seededRandom } from '../../../protocol/lib/random.ts'
import { batchesIn, lastOffsetOf } from '../../../protocol/record-batch.ts'
import { isGap } from '../../../server/log/gaps.ts'
import { segmentName } from '../../../server/log/log-names.ts'
import type { PartitionLog } from '../../../server/log/partition-log.ts'
import { repairLog } from '../../../server/log/repair/log-repair.ts'
import { surveyLog } from '../../../server/log/repair/log-survey.ts'
import type { LostOffsets } from '../../../server/log/repair/lost-offsets.ts'
import { readWholeFile } from '../../../server/storage/files.ts'
import { MemoryFiles, POWER_CUT_MODELS } from '../../../server/storage/memory-files.ts'
import { Quarantine } from '../../../server/storage/quarantine.ts'
import { batchOf } from '../../support/batches.ts'
import { FaultyFiles } from '../../support/faulty-files.ts'
import { InterleavedTransactions } from '../../support/transactions.ts'
import { appendEach, DIR, damage, findings, flipBit, killed, openLog, valuesFrom } from './log-fixture.ts'

const QUARANTINE = '/data/quarantine/now'
const SMALL = { segmentBytes: 3000 }

async function repair(files: MemoryFiles): Promise<{ lost: LostOffsets[]; steps: string[] }> {
  const survey = await surveyLog(files, DIR)
  const quarantine = new Quarantine(files, '/data', QUARANTINE)
  await repairLog({ files, clock: new HandClock(), quarantine }, survey)
  const { steps } = survey
  return { lost: steps.flatMap(({ lost }) => lost), steps: steps.map(({ file, message }) => `${file}: ${message}`) }
}

interface StoredBatch {
  baseOffset: number
  lastOffset: number
  /** Without the fields that the log writes. */
  bytes: string
}

async function batchesOf(log: PartitionLog): Promise<StoredBatch[]> {
  const batches: StoredBatch[] = []
  for (let at = log.startOffset; at < log.highWatermark; ) {
    const { bytes, nextOffset } = await log.read(at, 10_000)
    for (const { at: from, end, header } of batchesIn(bytes)) {
      const body = Buffer.from(bytes.subarray(from + 16, end)).toString('hex')
      if (!isGap(header)) batches.push({ baseOffset: header.baseOffset, lastOffset: lastOffsetOf(header), bytes: body })
    }
    at = nextOffset
  }
  return batches
}

const copyOf = (files: MemoryFiles): MemoryFiles => files.powerCut('kept', seededRandom(0))

/** Ten or so segments with idempotent and transactional producers. */
async function writtenLog(random: Random, isClosed: boolean) {
  const files = new MemoryFiles({ tracksPower: true })
  const clock = new HandClock()
  const log = await openLog({ files, clock, config: SMALL, checkpointBytes: 1000 })
  const account = new InterleavedTransactions(log, random, 8)
  for (let step = 0; step < 250; step++) await account.step()
  await account.written()
  await log.deleteRecordsBefore(Math.floor(log.highWatermark / 5))
  const batches = await batchesOf(log)
  if (isClosed) await log.close()
  const disk = await killed(files, clock)
  return { files: disk, batches, endOffset: log.highWatermark }
}

type Wound = (bytes: Uint8Array, random: Random) => Uint8Array

const WOUNDS: Record<string, Wound> = {
  bit: (bytes, random) => flipBit(bytes, randomBelow(random, bytes.length), randomBelow(random, 8)),
  bits: (bytes, random) => {
    let wounded = bytes
    for (let count = 0; count < 5; count++) wounded = flipBit(wounded, randomBelow(random, bytes.length))
    return wounded
  },
  truncated: (bytes, random) => bytes.slice(0, randomBelow(random, bytes.length)),
  zeroed: (bytes, random) => {
    const at = randomBelow(random, bytes.length)
    return bytes.slice().fill(0, at, at + 512)
  },
  swapped: (bytes, random) => {
    const swapped = bytes.slice()
    const [a, b] = [randomBelow(random, bytes.length), randomBelow(random, bytes.length)]
    swapped.set(bytes.subarray(a, Math.min(a + 256, bytes.length - Math.max(0, b - a))), b)
    return swapped.slice(0, bytes.length)
  },
  removed: (bytes, random) => {
    const at = randomBelow(random, bytes.length)
    return Uint8Array.from([...bytes.subarray(0, at), ...bytes.subarray(at + 200)])
  },
  inserted: (bytes, random) => {
    const at = randomBelow(random, bytes.length)
    return Uint8Array.from([...bytes.subarray(0, at), ...random.bytes(100), ...bytes.subarray(at)])
  },
}

const isLost = ({ baseOffset, lastOffset }: StoredBatch, lost: readonly LostOffsets[]) =>
  lost.some(({ fromOffset, toOffset }) => fromOffset <= baseOffset && lastOffset < toOffset)

/** Of what was there, all that is not told as lost is there still, and nothing else. */
async function expectMended(
  files: MemoryFiles,
  before: { batches: StoredBatch[]; endOffset: number },
  lost: readonly LostOffsets[],
): Promise<void> {
  expect(await findings(files)).toEqual([])
  const log = await openLog({ files, config: SMALL })
  expect(log.fault).toBeUndefined()
  expect(await batchesOf(log)).toEqual(before.batches.filter((batch) => !isLost(batch, lost)))
  expect(log.endOffset).toBe(before.endOffset)
  const { baseOffset, durable } = log.append(batchOf(['more']))
  expect(baseOffset).toBe(before.endOffset)
  await durable
  for (let offset = log.startOffset; offset < log.highWatermark; offset += 7) await log.read(offset, 1)
  await log.readCommitted(log.startOffset, 1_000_000)
  await log.close()
  expect(await findings(files)).toEqual([])
}

const SEEDS = Number(process.env.OTTLA_REPAIR_SEEDS ?? 2)

test('[RPR-1] any damage to segments: what can be read stays where it was, the rest is told and becomes a hole', async () => {
  let [holes, rounds] = [0, 0]
  for (let seed = 1; seed <= SEEDS; seed++) {
    const random = seededRandom(seed)
    const written = await writtenLog(random, seed % 2 === 0)
    const segments = (await written.files.list(DIR)).filter((name) => name.endsWith('.log'))
    for (const [kind, wound] of Object.entries(WOUNDS)) {
      for (let round = 0; round < 5; round++) {
        const files = copyOf(written.files)
        const woundCount = round % 3 === 0 ? 3 : 1
        for (let each = 0; each < woundCount; each++) {
          const segment = segments[randomBelow(random, segments.length)]!
          const { sizeBytes } = (await files.stat(`${DIR}/${segment}`))!
          if (sizeBytes > 300) await damage(files, segment, (bytes) => wound(bytes, random))
        }
        try {
          const { lost } = await repair(files)
          await expectMended(files, written, lost)
          const lostBatches = written.batches.filter((batch) => isLost(batch, lost))
          if (kind === 'bit') expect(lostBatches.length).toBeLessThanOrEqual(woundCount)
          holes += lost.length
          rounds++
        } catch (error) {
          throw new Error(`seed ${seed}, ${kind}, round ${round}: ${error}`, { cause: error })
        }
      }
    }
  }
  console.log(`repair: ${rounds} wounded logs, ${holes} holes`)
  expect(holes).toBeGreaterThan(rounds / 3)
}, 600_000)

test('[RPR-2] a segment that is missing becomes a hole, whichever it is', async () => {
  for (const isClosed of [true, false]) {
    const written = await writtenLog(seededRandom(11), isClosed)
    for (const segment of (await written.files.list(DIR)).filter((name) => name.endsWith('.log'))) {
      const files = copyOf(written.files)
      await files.remove(`${DIR}/${segment}`)
      const { lost } = await repair(files)
      expect(lost).toHaveLength(1)
      expect(lost[0]!.fromOffset).toBe(Number.parseInt(segment, 10))
      await expectMended(files, written, lost)
    }
  }
}, 120_000)

test('[RPR-3] lost and damaged caches are made anew without any loss, and a sound log is left alone', async () => {
  const random = seededRandom(12)
  for (const isClosed of [true, false]) {
    const written = await writtenLog(random, isClosed)
    const caches = (await written.files.list(DIR)).filter((name) => !name.endsWith('.log'))
    for (const name of ['none', 'all', ...caches.filter((_, index) => index % 3 === 0), 'manifest']) {
      for (const isLost of [true, false]) {
        const files = copyOf(written.files)
        for (const each of caches.filter((cache) => cache === name || name === 'all')) {
          if (isLost) await files.remove(`${DIR}/${each}`)
          else await damage(files, each, (bytes) => flipBit(bytes, randomBelow(random, bytes.length)))
        }
        const { lost, steps } = await repair(files)
        expect(lost).toEqual([])
        if (name === 'none') expect(steps).toEqual([])
        if (name !== 'all' && name !== 'manifest') await expectMended(files, written, [])
        else expect((await findings(files)).filter(({ severity }) => severity === 'error')).toEqual([])
      }
    }
  }
}, 120_000)

test('[RPR-4] what is taken away lies in the quarantine, as it was, also the bytes of a torn tail', async () => {
  const { files } = await writtenLog(seededRandom(13), false)
  const segments = (await files.list(DIR)).filter((name) => name.endsWith('.log'))
  await damage(files, segments[2]!, (bytes) => flipBit(bytes, 500))
  const torn = new Uint8Array(40).fill(7)
  await damage(files, segments.at(-1)!, (bytes) => Uint8Array.from([...bytes, ...torn]))
  const damaged = (await readWholeFile(files, `${DIR}/${segments[2]}`))!
  const tornAt = (await files.stat(`${DIR}/${segments.at(-1)}`))!.sizeBytes - torn.length
  await repair(files)
  const kept = `${QUARANTINE}${DIR.slice('/data'.length)}`
  expect(await readWholeFile(files, `${kept}/${segments[2]}`)).toEqual(damaged)
  expect(await readWholeFile(files, `${kept}/${segments.at(-1)}.from-byte-${tornAt}`)).toEqual(torn)
  expect(await files.list(DIR)).not.toContain(segments[2])
})

test('[RPR-5] a repair that a power cut ends anywhere can be made again, and loses nothing more', async () => {
  const written = await writtenLog(seededRandom(14), true)
  const segments = (await written.files.list(DIR)).filter((name) => name.endsWith('.log'))
  await damage(written.files, segments[1]!, (bytes) => flipBit(bytes, 400))
  await written.files.remove(`${DIR}/${segments[4]}`)
  const survey = await surveyLog(written.files, DIR)
  const lost = survey.steps.flatMap((step) => step.lost)
  const memory = copyOf(written.files)
  const files = new FaultyFiles(memory)
  const crashed: MemoryFiles[] = []
  const random = seededRandom(15)
  files.onCall = (call, _path, number) => {
    if (['read', 'open', 'list', 'stat', 'size', 'close', 'freeBytes'].includes(call)) return
    if (number % 2 === 0)
      crashed.push(memory.powerCut(POWER_CUT_MODELS[(number / 2) % POWER_CUT_MODELS.length]!, random))
  }
  await repairLog(
    { files, clock: new HandClock(), quarantine: new Quarantine(files, '/data', QUARANTINE) },
    await surveyLog(files, DIR),
  )
  expect(crashed.length).toBeGreaterThan(20)
  for (const disk of crashed) {
    await repair(disk)
    await expectMended(disk, written, lost)
  }
}, 120_000)

test('[RPR-6] what an index knows of aborted transactions outlives their markers', async () => {
  const files = new MemoryFiles()
  const log = await openLog({ files, config: { segmentBytes: 300 } })
  const inTransaction = (sequence: number) =>
    batchOf([`t${sequence}`], { producer: { id: 7, epoch: 0, sequence, isTransactional: true } })
  await log.append(inTransaction(0)).durable
  await log.appendMarker({ producerId: 7, producerEpoch: 0, coordinatorEpoch: 0, outcome: 'abort' }).durable
  await appendEach(log, ['a', 'b', 'c', 'd'])
  await log.close()
  const batchBytes = Math.floor((await files.stat(`${DIR}/${segmentName(0)}`))!.sizeBytes / 3)
  await damage(files, segmentName(0), (bytes) => flipBit(bytes, batchBytes + 30))
  expect((await repair(files)).lost).toEqual([{ fromOffset: 1, toOffset: 2 }])
  const mended = await openLog({ files })
  expect(mended.lastStableOffset).toBe(mended.highWatermark)
  const { aborted } = await mended.readCommitted(0, 10_000)
  expect(aborted).toEqual([{ producerId: 7, firstOffset: 0, lastOffset: 1 }])
  expect(await valuesFrom(mended, 2)).toEqual(['2:a', '3:b', '4:c', '5:d'])
  await mended.close()
})
