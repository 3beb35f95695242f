/** Where and with what a figure was measured. */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { cpus, release, totalmem } from 'node:os'
import { join } from 'node:path'
import { RECIPES } from '../../test/browsers/engine/recipes.ts'

/** `npm run bench` starts in the project's root. */
export const ROOT = process.cwd()
export const BUILD_FOLDER = join(ROOT, 'bench/.build')

function outputOf(command: string, args: string[]): string {
  try {
    return execFileSync(command, args, { cwd: ROOT, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim()
  } catch {
    return 'not found'
  }
}

export function commitHash(): string {
  const hash = outputOf('git', ['rev-parse', '--short', 'HEAD'])
  const changed = outputOf('git', ['status', '--porcelain', '--', 'server', 'protocol', 'client', 'worker', 'cli'])
  return changed === '' ? hash : `${hash} with uncommitted changes`
}

export function describeMachine(): Record<string, string> {
  const processors = cpus()
  return {
    processor: `${processors.length} x ${processors[0]?.model.trim() ?? 'unknown'}`,
    memory: `${Math.round(totalmem() / 2 ** 30)} GiB`,
    system: `${readFileSync('/etc/os-release', 'utf8').match(/PRETTY_NAME="(.*)"/)?.[1] ?? 'Linux'}, kernel ${release()}`,
    node: process.version,
    'nats-server': outputOf('nats-server', ['--version']).replace('nats-server: ', ''),
    chromium: outputOf(RECIPES.chromium.file, ['--version']).match(/Chromium [\d.]+/)?.[0] ?? 'not found',
    firefox: outputOf(RECIPES.firefox.file, ['--version']),
    webkit: outputOf('dpkg-query', ['-W', RECIPES.webkit.package]).split('\t').at(-1)!,
    compiler: outputOf('cc', ['--version']).split('\n')[0]!,
  }
}

/** Resident memory of a process in KiB. */
export function residentKib(pid: number): number {
  return statusKib(`/proc/${pid}/status`, 'VmRSS')
}

function statusKib(path: string, field: string): number {
  const line = readFileSync(path, 'utf8')
    .split('\n')
    .find((candidate) => candidate.startsWith(`${field}:`))
  return Number(line?.match(/\d+/)?.[0] ?? Number.NaN)
}
