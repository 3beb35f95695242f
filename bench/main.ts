/**
 * `npm run bench -- [scenario ...] [--engine chromium|firefox|webkit] [--rounds N] [--quick] [--no-build] [--list]`
 *
 * Without names every scenario runs. Results go to bench/results/NAME.json and bench/RESULTS.md is written anew from
 * all of them; a quick run only prints, and leaves its report in bench/.build.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { buildLoadClient } from './harness/load-client.ts'
import { BUILD_FOLDER, ROOT } from './harness/machine.ts'
import { writeReport } from './harness/report.ts'
import { runScenario } from './harness/rounds.ts'
import type { Scenario, ScenarioResult } from './harness/scenario.ts'
import { browserScenarios } from './scenarios/browser.ts'
import { catchUp } from './scenarios/catch-up.ts'
import { compactionScenario } from './scenarios/compaction.ts'
import { documentScenarios } from './scenarios/documents.ts'
import { durableStream, fanOutScenarios } from './scenarios/fan-out.ts'
import { idleMemory } from './scenarios/idle.ts'
import { kafkaScenarios } from './scenarios/kafka.ts'
import { produceLatency, produceThroughput } from './scenarios/produce.ts'
import { restartScenario } from './scenarios/restart.ts'
import { processStart } from './scenarios/start.ts'
import { transactionScenarios } from './scenarios/transactions.ts'

const scenarios: Scenario[] = [
  ...fanOutScenarios,
  durableStream,
  produceThroughput,
  produceLatency,
  idleMemory,
  processStart,
  restartScenario,
  compactionScenario,
  catchUp,
  ...kafkaScenarios,
  ...transactionScenarios,
  ...browserScenarios,
  ...documentScenarios,
]

const { values: options, positionals: names } = parseArgs({
  allowPositionals: true,
  options: {
    engine: { type: 'string' },
    rounds: { type: 'string' },
    quick: { type: 'boolean', default: false },
    'no-build': { type: 'boolean', default: false },
    list: { type: 'boolean', default: false },
  },
})

function chosen(): Scenario[] {
  const { engine } = options
  const isNamed = (scenario: Scenario) =>
    names.length === 0 || names.some((name) => scenario.name === name || scenario.name.startsWith(`${name}-`))
  const found = scenarios.filter(isNamed).filter((scenario) => engine === undefined || scenario.engine === engine)
  if (found.length > 0) return found
  throw new Error(`no scenario ${[...names, engine].filter(Boolean).join(', ')}; there are ${listed()}`)
}

function listed(): string {
  return scenarios.map((scenario) => scenario.name).join(', ')
}

function resultsIn(folder: string): Map<string, ScenarioResult> {
  const results = new Map<string, ScenarioResult>()
  if (!existsSync(folder)) return results
  for (const file of readdirSync(folder).filter((name) => name.endsWith('.json'))) {
    const result = JSON.parse(readFileSync(join(folder, file), 'utf8')) as ScenarioResult
    results.set(result.scenario, result)
  }
  return results
}

async function run(): Promise<void> {
  const rounds = Number(options.rounds ?? (options.quick ? 1 : 3))
  if (!Number.isInteger(rounds) || rounds < 1) throw new Error(`--rounds ${options.rounds} is not a count of rounds`)
  const quick = options.quick === true
  const wanted = chosen()
  const base = quick ? join(BUILD_FOLDER, 'quick') : join(ROOT, 'bench')
  const folder = join(base, 'results')
  mkdirSync(folder, { recursive: true })
  if (!options['no-build'] && !process.env.OTTLA_PROGRAM)
    execFileSync(process.execPath, ['scripts/ensure-built.mjs', 'cli', 'web'], { cwd: ROOT, stdio: 'inherit' })
  buildLoadClient()
  for (const scenario of wanted) {
    process.stdout.write(`${scenario.name}\n`)
    const log = (line: string) => void process.stdout.write(`${line}\n`)
    const result = await runScenario(scenario, {
      rounds: options.rounds ? rounds : (scenario.rounds ?? rounds),
      quick,
      log,
    })
    writeFileSync(join(folder, `${scenario.name}.json`), `${JSON.stringify(result, null, 1)}\n`)
    writeFileSync(join(base, 'RESULTS.md'), writeReport(scenarios, resultsIn(folder)))
  }
  process.stdout.write(`\n${readFileSync(join(base, 'RESULTS.md'), 'utf8')}`)
}

if (options.list) {
  process.stdout.write(`${listed()}\n`)
} else {
  await run().catch((error: unknown) => {
    process.stderr.write(`bench: ${error instanceof Error ? error.message : String(error)}\n`)
    process.exitCode = 1
  })
}
