/** The load client in C: compiled when its sources are newer than the program, run with a deadline, its JSON read. */
import { execFileSync } from 'node:child_process'
import { mkdirSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { type Child, startChild } from './child.ts'
import { BUILD_FOLDER, ROOT } from './machine.ts'
import type { Metrics } from './scenario.ts'

const SOURCES = join(ROOT, 'bench/load')
const PROGRAM = join(BUILD_FOLDER, 'ottla-load')

export type LoadMode = 'fan' | 'idle' | 'produce' | 'catch-up' | 'first-ack' | 'disk'
export type LoadOptions = Record<string, string | number>

export function buildLoadClient(): void {
  mkdirSync(BUILD_FOLDER, { recursive: true })
  const files = readdirSync(SOURCES).map((name) => join(SOURCES, name))
  const builtAt = statSync(PROGRAM, { throwIfNoEntry: false })?.mtimeMs ?? 0
  if (files.every((file) => statSync(file).mtimeMs < builtAt)) return
  const sources = files.filter((file) => file.endsWith('.c'))
  execFileSync('cc', ['-O2', '-std=gnu11', '-D_GNU_SOURCE', '-Wall', '-Wextra', '-o', PROGRAM, ...sources], {
    stdio: 'inherit',
  })
}

export function startLoad(mode: LoadMode, options: LoadOptions): Child {
  const args = Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)])
  return startChild(PROGRAM, [mode, ...args])
}

/** Runs the load client to its end and answers what it measured; throws when it saw an error, a gap or a loss. */
export async function load(mode: LoadMode, options: LoadOptions, withinMs = 120_000): Promise<Metrics> {
  const child = startLoad(mode, options)
  const code = await child.ended(withinMs)
  if (code !== 0) throw new Error(`the load client ended with ${code}:\n${child.output()}`)
  const metrics = parseReport(await child.line((line) => line.startsWith('{'), 1_000))
  for (const wrong of ['errors', 'gaps']) {
    if (metrics[wrong]) throw new Error(`the load client counted ${metrics[wrong]} ${wrong}:\n${child.output()}`)
  }
  return metrics
}

export function parseReport(line: string): Metrics {
  const parsed: unknown = JSON.parse(line)
  const metrics: Metrics = {}
  for (const [name, value] of Object.entries(parsed as Record<string, unknown>)) {
    if (typeof value === 'number') metrics[name] = value
    else if (typeof value === 'boolean') metrics[name] = value ? 1 : 0
  }
  return metrics
}
