/** bench/RESULTS.md out of bench/results/*.json: aims first, then a table for each scenario. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT } from './machine.ts'
import type { Aim, Scenario, ScenarioResult } from './scenario.ts'
import { aimIsMet, measureAim, metricOf, type Summary } from './statistics.ts'

const NOTES_FOLDER = join(ROOT, 'bench/notes')

function number(value: number, digits: number): string {
  return value.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits })
}

function digitsFor(value: number): number {
  const size = Math.abs(value)
  return size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3
}

function spread(summary: Summary | undefined, digits?: number): string {
  if (!summary) return 'not measured'
  const places = digits ?? digitsFor(summary.median)
  const median = number(summary.median, places)
  if (summary.count < 2) return `${median} (one run)`
  return `${median} [${number(summary.min, places)} - ${number(summary.max, places)}]`
}

function aimRow(scenario: Scenario, aim: Aim, result: ScenarioResult): string {
  const measured = measureAim(result.runs, aim)
  const met = aimIsMet(aim, measured)
  const unit = aim.unit ? ` ${aim.unit}` : aim.to ? ' x' : ''
  const verdict = met === undefined ? '-' : met ? 'met' : '**short**'
  return `| ${scenario.title} | ${aim.text} | ${spread(measured)}${measured ? unit : ''} | ${verdict} |`
}

function table(scenario: Scenario, result: ScenarioResult): string[] {
  const head = ['', ...scenario.columns.map((column) => column.title)]
  const rows = scenario.contenders.map((contender) => [
    contender.name,
    ...scenario.columns.map((column) => {
      const summary = metricOf(result.runs, contender.name, column.metric)
      return summary ? spread(summary, column.digits) : ''
    }),
  ])
  return [
    `| ${head.join(' | ')} |`,
    `|${head.map(() => '---').join('|')}|`,
    ...rows.map((row) => `| ${row.join(' | ')} |`),
  ]
}

/** Each machine that anything was measured on, with a letter of its own, newest first. */
function machinesOf(results: readonly ScenarioResult[]): Map<string, string> {
  const newestFirst = [...results].sort((a, b) => b.date.localeCompare(a.date))
  const all = new Set(newestFirst.map(machineOf))
  return new Map([...all].map((machine, index) => [machine, String.fromCharCode(65 + index)]))
}

const machineOf = ({ machine }: ScenarioResult): string =>
  Object.entries(machine)
    .map(([name, value]) => `${name}: ${value}`)
    .join('; ')

function section(scenario: Scenario, result: ScenarioResult, machine: string): string[] {
  const notes = join(NOTES_FOLDER, `${scenario.name}.md`)
  const date = result.date.slice(0, 16).replace('T', ' ')
  return [
    `## ${scenario.title}`,
    '',
    `${scenario.method} ${result.rounds} rounds, ${date} UTC, commit ${result.commit}, machine ${machine}. \`npm run bench -- ${scenario.name}\``,
    '',
    ...table(scenario, result),
    '',
    ...(result.failures.length > 0
      ? [...result.failures.map((failure) => `- failed: ${failure.split('\n')[0]}`), '']
      : []),
    ...(existsSync(notes) ? [readFileSync(notes, 'utf8').trim(), ''] : []),
  ]
}

export function writeReport(scenarios: readonly Scenario[], results: ReadonlyMap<string, ScenarioResult>): string {
  const measured = scenarios.filter((scenario) => results.has(scenario.name))
  const machines = machinesOf(measured.map(({ name }) => results.get(name)!))
  const lines = [
    '# Measured',
    '',
    'Written by `npm run bench`. Each figure is the median, with [lowest - highest], of rounds in which the contenders',
    'alternate on one machine over loopback; a ratio is taken within each round first. Log, fsync before the',
    'acknowledgement and offsets are on for Ottla everywhere. Figures are for comparison, never a test.',
    '',
    ...[...machines].map(([machine, letter]) => `- ${letter}: ${machine}`),
    '',
    '| scenario | aim | measured | |',
    '|---|---|---|---|',
    ...measured.flatMap((scenario) => scenario.aims.map((aim) => aimRow(scenario, aim, results.get(scenario.name)!))),
    '',
    ...measured.flatMap((scenario) => {
      const result = results.get(scenario.name)!
      return section(scenario, result, machines.get(machineOf(result))!)
    }),
  ]
  return `${lines.join('\n').trimEnd()}\n`
}
