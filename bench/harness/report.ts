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

function section(scenario: Scenario, result: ScenarioResult): string[] {
  const notes = join(NOTES_FOLDER, `${scenario.name}.md`)
  const date = result.date.slice(0, 16).replace('T', ' ')
  return [
    `## ${scenario.title}`,
    '',
    `${scenario.method} ${result.rounds} rounds, ${date} UTC, commit ${result.commit}. \`npm run bench -- ${scenario.name}\``,
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
  const first = results.get(measured[0]?.name ?? '')
  const machine = Object.entries(first?.machine ?? {}).map(([name, value]) => `- ${name}: ${value}`)
  const lines = [
    '# Measured',
    '',
    'Written by `npm run bench`. Each figure is the median, with [lowest - highest], of rounds in which the contenders',
    'alternate on this machine over loopback; a ratio is taken within each round first. Log, fsync before the',
    'acknowledgement and offsets are on for Ottla everywhere. Figures are for comparison, never a test.',
    '',
    ...machine,
    '',
    '| scenario | aim | measured | |',
    '|---|---|---|---|',
    ...measured.flatMap((scenario) => scenario.aims.map((aim) => aimRow(scenario, aim, results.get(scenario.name)!))),
    '',
    ...measured.flatMap((scenario) => section(scenario, results.get(scenario.name)!)),
  ]
  return `${lines.join('\n').trimEnd()}\n`
}
