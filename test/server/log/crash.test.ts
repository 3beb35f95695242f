/** Power cuts at every call on the disk, by every model of what survives. */
import { expect, test } from 'vitest'
import { seededRandom } from '../../../protocol/lib/random.ts'
import type { MemoryFiles as Disk, PowerCutModel } from '../../../server/storage/memory-files.ts'
import { MemoryFiles, POWER_CUT_MODELS } from '../../../server/storage/memory-files.ts'
import { FaultyFiles } from '../../support/faulty-files.ts'
import type { Account } from './crash-workload.ts'
import { CrashWorkload, checkAfterCrash } from './crash-workload.ts'

const SEEDS = Number(process.env.OTTLA_CRASH_SEEDS ?? 2)
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
async function crashedDisks(
  seed: number,
  check: (crashed: CrashedDisk) => Promise<void>,
  options?: { isRelaxed: boolean },
): Promise<void> {
  const random = seededRandom(seed)
  const memory = new MemoryFiles({ tracksPower: true })
  const files = new FaultyFiles(memory)
  const workload = new CrashWorkload(files, seededRandom(seed + 1_000_000), options)
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

async function crashEverywhere(options?: { isRelaxed: boolean }) {
  let [states, cuts] = [0, 0]
  for (let seed = FIRST_SEED; seed < FIRST_SEED + SEEDS; seed++) {
    const check = async (crashed: CrashedDisk) => {
      states++
      try {
        if (await checkAfterCrash(crashed.disk, crashed.account)) cuts++
      } catch (error) {
        const { call, model } = crashed
        throw new Error(`seed ${seed}, power cut (${model}) before call ${call}: ${error}`, { cause: error })
      }
    }
    await crashedDisks(seed, check, options)
  }
  const seeds = `seeds ${FIRST_SEED} to ${FIRST_SEED + SEEDS - 1}`
  console.log(`power cuts${options ? ', relaxed' : ''}: ${seeds}, ${states} states, ${cuts} torn tails cut`)
  expect(cuts).toBeGreaterThan(0)
  return states
}

test('[LOG-1] after a power cut at any call nothing acknowledged is lost, changed or renumbered', async () => {
  expect(await crashEverywhere()).toBeGreaterThan(300 * SEEDS)
}, 300_000)

test('[DUR-1] with relaxed writes a power cut takes only the end of what was not synced, and is never called damage', async () => {
  expect(await crashEverywhere({ isRelaxed: true })).toBeGreaterThan(200 * SEEDS)
}, 300_000)
