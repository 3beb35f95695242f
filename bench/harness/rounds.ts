/** Runs a scenario's contenders in alternating rounds and keeps what was measured, and what failed. */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { BUILD_FOLDER, commitHash, describeMachine } from './machine.ts'
import type { Contender, Metrics, Run, Scenario, ScenarioResult, Trial } from './scenario.ts'

/** Cores that everybody else may use during a run before the run is done once more. */
const OTHERS_CORES_MAX = 0.5

export interface RoundOptions {
  rounds: number
  quick: boolean
  log(line: string): void
}

async function inFreshFolder<T>(work: (directory: string) => Promise<T>): Promise<T> {
  const parent = join(BUILD_FOLDER, 'data')
  mkdirSync(parent, { recursive: true })
  const directory = mkdtempSync(join(parent, 'run-'))
  try {
    return await work(directory)
  } finally {
    rmSync(directory, { recursive: true, force: true, maxRetries: 5 })
  }
}

/** A run that others disturbed is repeated once, and the quieter of the two is kept. */
async function runQuietly(contender: Contender, trial: Omit<Trial, 'directory'>): Promise<Metrics> {
  const once = () => inFreshFolder((directory) => contender.run({ ...trial, directory }))
  const first = await once()
  if (trial.quick || !((first.othersCores ?? 0) >= OTHERS_CORES_MAX)) return first
  const second = await once()
  return second.othersCores! < first.othersCores! ? second : first
}

function brief(metrics: Metrics, scenario: Scenario): string {
  return scenario.columns
    .filter((column) => metrics[column.metric] !== undefined)
    .map((column) => `${column.title} ${metrics[column.metric]!.toFixed(column.digits)}`)
    .join(', ')
}

export async function runScenario(scenario: Scenario, options: RoundOptions): Promise<ScenarioResult> {
  const runs: Run[] = []
  const failures: string[] = []
  await inFreshFolder(async (directory) => {
    try {
      try {
        await scenario.prepare?.({ round: -1, quick: options.quick, directory })
      } catch (error) {
        // Contenders that need what was to be prepared will say so; the others can still be measured.
        failures.push(`preparation: ${error instanceof Error ? error.message : String(error)}`)
      }
      for (let round = 0; round < options.rounds; round++) {
        const order = round % 2 ? [...scenario.contenders].reverse() : scenario.contenders
        for (const contender of order) {
          try {
            const metrics = await runQuietly(contender, { round, quick: options.quick })
            runs.push({ contender: contender.name, round, metrics })
            options.log(`  round ${round + 1}  ${contender.name}: ${brief(metrics, scenario)}`)
          } catch (error) {
            const reason = error instanceof Error ? error.message : String(error)
            failures.push(`round ${round + 1}, ${contender.name}: ${reason}`)
            options.log(`  round ${round + 1}  ${contender.name} FAILED: ${reason}`)
          }
        }
      }
    } finally {
      await scenario.finish?.()
    }
  })
  return {
    scenario: scenario.name,
    date: new Date().toISOString(),
    commit: commitHash(),
    quick: options.quick,
    rounds: options.rounds,
    machine: describeMachine(),
    runs,
    failures,
  }
}
