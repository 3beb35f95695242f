/** Power cuts at every call on the disk, by every model of what survives. */
import { expect, test } from 'vitest'
import { seededRandom } from '../../../protocol/lib/random.ts'
import type { MemoryFiles as Disk, PowerCutModel } from '../../../server/storage/memory-files.ts'
import { MemoryFiles, POWER_CUT_MODELS } from '../../../server/storage/memory-files.ts'
import { FaultyFiles } from '../../support/faulty-files.ts'
import type { Account } from './crash-workload.ts'
import { CrashWorkload, checkAfterCrash } from './crash-workload.ts'

const SEEDS = Number(process.env.OTTLA_CRASH_SEEDS ?? 6)
const FIRST_SEED = Number(process.env.OTTLA_CRASH_SEED ?? 1)
const STEPS = 30

interface CrashedDisk {
  seed: number
  call: string
  model: PowerCutModel
  disk: Disk
  account: Account
}

/** Runs the workload once; before every call that changes the disk, keeps what a power cut would leave of it. */
async function crashedDisks(seed: number, check: (crashed: CrashedDisk) => Promise<void>): Promise<void> {
  const random = seededRandom(seed)
  const memory = new MemoryFiles({ tracksPower: true })
  const files = new FaultyFiles(memory)
  const workload = new CrashWorkload(files, seededRandom(seed + 1_000_000))
  const crashed: CrashedDisk[] = []
  files.onCall = (call, path, number) => {
    if (['read', 'open', 'list', 'stat', 'size', 'close', 'freeBytes'].includes(call)) return
    const account = workload.snapshot()
    const model = POWER_CUT_MODELS[number % POWER_CUT_MODELS.length]!
    const models: PowerCutModel[] = [model, POWER_CUT_MODELS[(number + 3) % POWER_CUT_MODELS.length]!]
    for (const each of models) {
      const disk = memory.powerCut(each, random)
      crashed.push({ seed, call: `${number} ${call} ${path}`, model: each, disk, account })
    }
  }
  await workload.run(STEPS)
  for (const each of crashed) await check(each)
}

test('[LOG-1] after a power cut at any call nothing acknowledged is lost, changed or renumbered', async () => {
  let states = 0
  let cuts = 0
  for (let seed = FIRST_SEED; seed < FIRST_SEED + SEEDS; seed++) {
    await crashedDisks(seed, async (crashed) => {
      states++
      try {
        if (await checkAfterCrash(crashed.disk, crashed.account)) cuts++
      } catch (error) {
        const { call, model } = crashed
        throw new Error(`seed ${seed}, power cut (${model}) before call ${call}: ${error}`, { cause: error })
      }
    })
  }
  console.log(`power cuts: seeds ${FIRST_SEED} to ${FIRST_SEED + SEEDS - 1}, ${states} states, ${cuts} torn tails cut`)
  expect(states).toBeGreaterThan(300 * SEEDS)
  expect(cuts).toBeGreaterThan(0)
}, 300_000)
