/** `ottla verify`: what the checker finds in a data folder, line by line, and a verdict as exit code. */

import { existsSync } from 'node:fs'
import { type DataDirFinding, type VerifiedDataDir, verifyDataDir } from '../server/engine/verify.ts'
import { nodeFiles } from '../server/storage/node-files.ts'
import { EXIT_FAILURE, EXIT_OK, type Invocation, switchFlag, UsageError } from './command.ts'
import type { RepairOutcome } from './repair.ts'

export async function verify(invocation: Invocation): Promise<number> {
  const { positionals, output, json } = invocation
  const dir = positionals[0]!.replace(/(.)\/+$/, '$1')
  for (const flag of ['dry-run', 'yes'])
    if (switchFlag(invocation, flag) && !switchFlag(invocation, 'repair'))
      throw new UsageError(`--${flag} goes with --repair`)
  if (!existsSync(dir)) throw new UsageError(`${dir}: no such folder`)
  const repaired = switchFlag(invocation, 'repair') ? await repairFirst(invocation, dir) : undefined
  if (typeof repaired === 'number') return repaired
  const counts = { error: 0, warning: 0 }
  const findings: DataDirFinding[] = []
  const checking = verifyDataDir(nodeFiles, dir)
  let step = await checking.next()
  for (; !step.done; step = await checking.next()) {
    counts[step.value.severity]++
    if (json) findings.push(step.value)
    else await output.line(describe(step.value))
  }
  const { value: total } = step
  const told = { sound: counts.error === 0, ...total, errors: counts.error, warnings: counts.warning, findings }
  if (json) await output.json(repaired ? { ...told, repair: repaired } : told)
  else await output.line(summary(total, counts))
  return counts.error === 0 ? EXIT_OK : EXIT_FAILURE
}

async function repairFirst(invocation: Invocation, dir: string): Promise<RepairOutcome | number> {
  const { repair } = await import('./repair.ts')
  return repair(invocation, dir)
}

function describe({ severity, log, file, position, offset, message }: DataDirFinding): string {
  const where = [
    file.includes('/') ? file : `${log}/${file}`,
    ...(position === undefined ? [] : [`byte ${position}`]),
    ...(offset === undefined ? [] : [`offset ${offset}`]),
  ]
  return `${severity}: ${where.join(', ')}: ${message}`
}

function summary(total: VerifiedDataDir, counts: { error: number; warning: number }): string {
  const read = `${total.topics} topics, ${total.records} records in ${total.batches} batches, ${total.bytes} bytes`
  if (counts.error > 0) return `Damaged: ${counts.error} errors, ${counts.warning} warnings in ${read}.`
  return `Sound: ${read}${counts.warning > 0 ? `; ${counts.warning} warnings` : ''}.`
}
