/** The simulation as `npm run test:simulation` runs it, with fewer seeds. Time in it is simulated, so it lets others go first. */
import { execFile } from 'node:child_process'
import { constants, setPriority } from 'node:os'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'

const SEEDS = Number(process.env.OTTLA_SEEDS ?? 500)
const script = fileURLToPath(new URL('./run.mjs', import.meta.url))

test(`[SIM-1] ${SEEDS} simulated worlds with crashes, cut networks, failing disks and wrong clocks keep every promise`, async () => {
  const args = [script, '--seeds', String(SEEDS), '--twice', '10']
  const running = promisify(execFile)(process.execPath, args, { maxBuffer: 1e8 })
  setPriority(running.child.pid!, constants.priority.PRIORITY_LOW)
  const { stdout, failure } = await running.then(
    ({ stdout }) => ({ stdout, failure: undefined }),
    (error: { stdout: string; stderr: string }) => ({ stdout: error.stdout, failure: error.stdout + error.stderr }),
  )
  expect(failure).toBeUndefined()
  console.log(stdout.trim().split('\n').at(-1))
}, 1_200_000)
