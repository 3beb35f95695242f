/**
 * Power cuts on real file systems, in the midst of everything that a log does: appends, rolls, checkpoints, transactions,
 * retention, truncation, compaction, closing and opening. And a control: where a topic is relaxed, the same cuts must show
 * loss, or they prove nothing.
 *
 *     npm run test:power                 500 cuts on each file system
 *     OTTLA_POWER_CUTS=50 npm run test:power
 */
import { readdirSync, readlinkSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Random, randomBelow, seededRandom } from '../../protocol/lib/random.ts'
import type { Files } from '../../server/storage/files.ts'
import { CompactionWorkload, checkCompactedAfterCrash } from '../server/log/compaction-workload.ts'
import {
  type Account,
  accountBetween,
  CrashWorkload,
  checkAfterCrash,
  openSmall,
} from '../server/log/crash-workload.ts'
import { FaultyFiles } from '../support/faulty-files.ts'
import { suiteSeed } from '../support/suite-seed.ts'
import { filesIn } from './folder-files.ts'
import { FILE_SYSTEMS, LoopDisk, whyNot } from './loop-disk.ts'

const CUTS = Number(process.env.OTTLA_POWER_CUTS ?? 500)
const SEED = suiteSeed('OTTLA_POWER_SEED')
/** A round whose workload ends before its cut proves nothing. */
const STEPS = 10_000

interface Life<A> {
  run(steps: number): Promise<void>
  abandon(): Promise<void>
  snapshot(): A
}

/**
 * Lets a life go on until the power is cut at its n-th call on the disk, or shortly after; then mounts the disk again.
 *
 * Returns what the life knew when the cut was asked for, and in the end. Only the first is promised: while the shutdown call
 * runs, both file systems let an fdatasync return 0 whose data is not kept (3 % of the cuts in a dozen lines of C). Nobody
 * can hear such an answer when the power really goes.
 */
async function cutDuring<A>(
  disk: LoopDisk,
  files: FaultyFiles,
  life: Life<A>,
  random: Random,
): Promise<{ earlier: A; later: A }> {
  const atCall = 1 + randomBelow(random, 400)
  const whatGetsOut = random.next() < 0.7 ? 'nothing' : 'journal'
  let calls = 0
  let [earlier, cutting]: [A | undefined, Promise<void> | undefined] = [undefined, undefined]
  files.onCall = () => {
    calls++
    if (calls !== atCall) return
    earlier = life.snapshot()
    cutting = disk.cutPower(whatGetsOut)
  }
  await expect(life.run(STEPS), 'a disk without power is noticed').rejects.toThrow()
  files.onCall = undefined
  await cutting
  await life.abandon()
  const open = readdirSync('/proc/self/fd').map((fd) => linkOf(`/proc/self/fd/${fd}`))
  const ours = open.filter((path) => path.startsWith(disk.dir))
  expect(ours, 'files that are still open').toEqual([])
  await disk.powerOn()
  return { earlier: earlier!, later: life.snapshot() }
}

function linkOf(path: string): string {
  try {
    return readlinkSync(path)
  } catch {
    return ''
  }
}

for (const kind of FILE_SYSTEMS) {
  const reason = await whyNot(kind)
  if (reason) console.log(`power cuts on ${kind}: NOT RUN on this machine: ${reason}`)

  describe.skipIf(reason !== undefined)(`power cuts on ${kind}`, () => {
    let disk: LoopDisk
    beforeAll(async () => {
      disk = await LoopDisk.make(kind)
    })
    afterAll(() => disk.destroy())

    /** One round in a folder of its own. */
    async function round(index: number, body: (folder: string) => Promise<void>): Promise<void> {
      const folder = `${disk.dir}/${index}`
      try {
        await body(folder)
      } catch (error) {
        throw new Error(`seed ${SEED}, cut ${index} on ${kind}: ${error}`, { cause: error })
      }
      await rm(folder, { recursive: true, force: true })
    }

    test('[PWR-1] nothing acknowledged is lost, changed or renumbered, and nothing is called damage', async () => {
      const random = seededRandom(SEED)
      let [acked, torn] = [0, 0]
      for (let index = 0; index < CUTS; index++) {
        await round(index, async (folder) => {
          const files = new FaultyFiles(filesIn(folder))
          const workload = new CrashWorkload(files, seededRandom(SEED + index))
          const { earlier, later } = await cutDuring(disk, files, workload, random)
          acked += earlier.ackedEnd
          if (await checkAfterCrash(filesIn(folder), accountBetween(earlier, later))) torn++
        })
      }
      console.log(
        `${kind}: seed ${SEED}, ${CUTS} power cuts, ${acked} records acknowledged, ${torn} torn tails, 0 lost`,
      )
      expect(acked).toBeGreaterThan(CUTS)
    })

    test('[PWR-2] compaction: no key is lost, and nothing that was deleted comes back', async () => {
      const random = seededRandom(SEED + 1)
      const cuts = Math.ceil(CUTS / 4)
      for (let index = 0; index < cuts; index++) {
        await round(index, async (folder) => {
          const files = new FaultyFiles(filesIn(folder))
          const workload = new CompactionWorkload(files, seededRandom(SEED + index))
          const { earlier, later } = await cutDuring(disk, files, workload, random)
          const account = { ...later, ackedEnd: earlier.ackedEnd }
          await checkCompactedAfterCrash(filesIn(folder), account, workload.clock.now())
        })
      }
      console.log(`${kind}: ${cuts} power cuts during compaction, 0 lost`)
    })

    test('[PWR-3] control: relaxed writes do lose what was answered, its end alone, and never more than was not synced', async () => {
      const random = seededRandom(SEED + 2)
      const cuts = Math.ceil(CUTS / 4)
      let [lossy, lost] = [0, 0]
      for (let index = 0; index < cuts; index++) {
        await round(index, async (folder) => {
          const files = new FaultyFiles(filesIn(folder))
          const workload = new CrashWorkload(files, seededRandom(SEED + index), { isRelaxed: true })
          let answered: number | undefined
          const life: Life<Account> = {
            run: (steps) => workload.run(steps),
            abandon: () => workload.abandon(),
            snapshot: () => {
              answered ??= workload.account.ackedEnd
              return workload.snapshot()
            },
          }
          const { earlier, later } = await cutDuring(disk, files, life, random)
          const missing = answered! - (await endOf(filesIn(folder)))
          if (missing > 0) [lossy, lost] = [lossy + 1, lost + missing]
          await checkAfterCrash(filesIn(folder), accountBetween(earlier, later))
        })
      }
      console.log(`${kind}: ${cuts} power cuts with relaxed writes, ${lost} answered records lost in ${lossy} of them`)
      expect(lossy).toBeGreaterThan(0)
    })
  })
}

async function endOf(files: Files): Promise<number> {
  const log = await openSmall(files)
  try {
    return log.endOffset
  } finally {
    await log.close()
  }
}
