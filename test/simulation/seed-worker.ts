/** Runs seeds in a thread of its own, one after another, as they are asked for. */
import { parentPort } from 'node:worker_threads'
import { simulate } from './simulation.ts'

export interface SeedTask {
  seed: number
  isTwice: boolean
}

export interface SeedReport {
  seed: number
  faults: string[]
  probes: Array<[string, number]>
  virtualMs: number
  events: number
  operations: number
}

export async function runSeed({ seed, isTwice }: SeedTask): Promise<SeedReport> {
  const { faults, probes, virtualMs, events, operations, hash } = await simulate(seed)
  const report = { seed, faults, probes: [...probes], virtualMs, events, operations: operations.length }
  if (!isTwice) return report
  const again = await simulate(seed)
  report.probes.push(['seed run twice', 1])
  if (again.hash !== hash) report.faults.push(`not the same twice: traces ${hash} and ${again.hash}`)
  return report
}

export function serveSeeds(): void {
  const port = parentPort!
  // Errors are part of most worlds; where one came from is seen when its seed is run alone.
  Error.stackTraceLimit = 0
  port.on('message', async (task: SeedTask) => port.postMessage(await runSeed(task)))
}
