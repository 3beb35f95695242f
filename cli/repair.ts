/** `ottla verify --repair`: says what it would do, asks, does it, and verifies. */

import { createInterface } from 'node:readline/promises'
import { systemClock } from '../protocol/lib/clock.ts'
import { systemRandom } from '../protocol/lib/random.ts'
import { type DataDirRepair, type DataDirStep, planRepair } from '../server/engine/repair.ts'
import { nodeFiles } from '../server/storage/node-files.ts'
import { EXIT_FAILURE, type Invocation, switchFlag, UsageError } from './command.ts'

export interface RepairOutcome {
  steps: DataDirStep[]
  /** undefined when nothing was done. */
  quarantine: string | undefined
}

/** Resolves to an exit code when it ends here: a dry run, or somebody said no. */
export async function repair(invocation: Invocation, dir: string): Promise<RepairOutcome | number> {
  const { output, json } = invocation
  const isDryRun = switchFlag(invocation, 'dry-run')
  const isAgreed = switchFlag(invocation, 'yes')
  if (!isDryRun && !isAgreed && (json || !process.stdin.isTTY))
    throw new UsageError('nobody can be asked here: look with --dry-run, then give --yes')
  const planned = await planRepair({ files: nodeFiles, clock: systemClock, random: systemRandom }, dir)
  try {
    const { steps, quarantine } = planned
    if (!json) for (const line of linesOf(planned)) await output.line(line)
    if (steps.length === 0) return { steps, quarantine: undefined }
    if (isDryRun) {
      if (json) await output.json({ dryRun: true, steps, lost: lostCount(steps) })
      return EXIT_FAILURE
    }
    if (!isAgreed && !(await isConfirmed(invocation))) return EXIT_FAILURE
    invocation.signal.throwIfAborted()
    await planned.carryOut()
    if (!json) await output.line(`Repaired. What was taken away lies in ${quarantine}.`)
    return { steps, quarantine }
  } finally {
    await planned.close()
  }
}

function linesOf({ steps, quarantine }: DataDirRepair): string[] {
  if (steps.length === 0) return ['Nothing to repair.']
  const lost = lostCount(steps)
  return [
    ...steps.map((step, index) => `${index + 1}. ${placeOf(step)}: ${step.message}`),
    `${steps.length} steps; ${lost === 0 ? 'no record is lost' : `up to ${lost} records are lost`}. ` +
      `Everything that is taken away is kept in ${quarantine}.`,
  ]
}

const placeOf = ({ log, file }: DataDirStep): string => (file === log ? log : `${log}/${file}`)

const lostCount = (steps: readonly DataDirStep[]): number =>
  steps.flatMap(({ lost }) => lost).reduce((sum, { fromOffset, toOffset }) => sum + toOffset - fromOffset, 0)

async function isConfirmed({ signal }: Invocation): Promise<boolean> {
  const terminal = createInterface({ input: process.stdin, output: process.stderr })
  try {
    const answer = await terminal.question('Carry out these steps? [y/N] ', { signal })
    return /^y(es)?$/i.test(answer.trim())
  } finally {
    terminal.close()
  }
}
