/** A compacted log beside a model of it: through a long life, and through a power cut at any call on the disk. */
import { expect, test } from 'vitest'
import { seededRandom } from '../../../protocol/lib/random.ts'
import { MemoryFiles, POWER_CUT_MODELS } from '../../../server/storage/memory-files.ts'
import { FaultyFiles } from '../../support/faulty-files.ts'
import { type CompactionAccount, CompactionWorkload, checkCompactedAfterCrash } from './compaction-workload.ts'

const SEEDS = Number(process.env.OTTLA_CRASH_SEEDS ?? 2)
const FIRST_SEED = Number(process.env.OTTLA_CRASH_SEED ?? 1)
const UNCHANGING = ['read', 'open', 'list', 'stat', 'size', 'close', 'freeBytes']

test('[CMP-20] what is read of a compacted log says what all that was written says', async () => {
  for (let seed = FIRST_SEED; seed < FIRST_SEED + SEEDS * 4; seed++) {
    const files = new MemoryFiles()
    const workload = new CompactionWorkload(files, seededRandom(seed))
    try {
      await workload.run(150)
      await checkCompactedAfterCrash(files, workload.account, workload.clock.now())
    } catch (error) {
      throw new Error(`seed ${seed}: ${error}`, { cause: error })
    }
    expect(workload.compactions).toBeGreaterThan(5)
  }
}, 120_000)

test('[CMP-21] after a power cut at any call of a compaction nothing is lost, changed, or come back', async () => {
  let states = 0
  for (let seed = FIRST_SEED; seed < FIRST_SEED + SEEDS; seed++) {
    const random = seededRandom(seed)
    const memory = new MemoryFiles({ tracksPower: true })
    const files = new FaultyFiles(memory)
    const workload = new CompactionWorkload(files, seededRandom(seed + 5_000_000))
    const crashed: Array<{ call: string; disk: MemoryFiles; account: CompactionAccount; nowMs: number }> = []
    files.onCall = (call, path, number) => {
      if (UNCHANGING.includes(call)) return
      const model = POWER_CUT_MODELS[number % POWER_CUT_MODELS.length]!
      const disk = memory.powerCut(model, random)
      const nowMs = workload.clock.now()
      crashed.push({ call: `${number} ${call} ${path} (${model})`, disk, account: workload.snapshot(), nowMs })
    }
    await workload.run(50)
    for (const { call, disk, account, nowMs } of crashed) {
      states++
      await checkCompactedAfterCrash(disk, account, nowMs).catch((cause) => {
        throw new Error(`seed ${seed}, power cut before call ${call}: ${cause}`, { cause })
      })
    }
  }
  console.log(`compaction, power cuts: seeds ${FIRST_SEED} to ${FIRST_SEED + SEEDS - 1}, ${states} states`)
  expect(states).toBeGreaterThan(150 * SEEDS)
}, 120_000)
