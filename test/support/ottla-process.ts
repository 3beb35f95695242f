/**
 * The built program in processes of its own: `runOttla` to the end, `startRelay` until ready.
 *
 * Everything started is ended by `endAll()`, which a test file calls after each test; by process id, never by name.
 */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const PROGRAM = fileURLToPath(new URL('../../dist/cli/ottla.js', import.meta.url))

const running = new Set<ChildProcessWithoutNullStreams>()
const folders: string[] = []

export interface RunOptions {
  input?: string | Uint8Array
  environment?: Record<string, string>
  cwd?: string
}

export interface RunResult {
  code: number | null
  stdout: string
  stderr: string
}

export interface OttlaProcess {
  process: ChildProcessWithoutNullStreams
  stdout(): string
  stderr(): string
  /** With the exit code; null when a signal ended it. */
  exited: Promise<number | null>
}

export interface RelayProcess extends OttlaProcess {
  ready: { event: string; http: string; websocket: string; kafka?: string; dataDir: string }
  url: string
}

/** Removed by `endAll`. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'ottla-test-'))
  folders.push(folder)
  return folder
}

export function startOttla(args: readonly string[], { environment, cwd }: RunOptions = {}): OttlaProcess {
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('OTTLA_'))
  const child = spawn(process.execPath, [PROGRAM, ...args], {
    env: { ...Object.fromEntries(inherited), ...environment },
    cwd,
  })
  running.add(child)
  const pieces = { stdout: [] as Buffer[], stderr: [] as Buffer[] }
  child.stdout.on('data', (piece: Buffer) => pieces.stdout.push(piece))
  child.stderr.on('data', (piece: Buffer) => pieces.stderr.push(piece))
  // A program that ends without reading its input is no error of the test.
  child.stdin.on('error', () => {})
  const exited = new Promise<number | null>((resolve) => {
    child.once('close', (code) => {
      running.delete(child)
      resolve(code)
    })
  })
  return {
    process: child,
    stdout: () => Buffer.concat(pieces.stdout).toString(),
    stderr: () => Buffer.concat(pieces.stderr).toString(),
    exited,
  }
}

export async function runOttla(args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  const ottla = startOttla(args, options)
  ottla.process.stdin.end(options.input ?? '')
  const code = await ottla.exited
  return { code, stdout: ottla.stdout(), stderr: ottla.stderr() }
}

/** A relay on a free port and a folder of its own, unless the arguments say otherwise. */
export async function startRelay(args: readonly string[] = [], options: RunOptions = {}): Promise<RelayProcess> {
  const kafka = args.includes('--kafka-port') ? [] : ['--kafka-port', 'off']
  const defaults = ['--http-port', '0', ...kafka, '--log-format', 'json']
  const data = args.includes('--data') ? [] : ['--data', temporaryFolder()]
  const ottla = startOttla(['serve', ...defaults, ...data, ...args], options)
  const ready = await new Promise<RelayProcess['ready']>((resolve, reject) => {
    ottla.process.stdout.on('data', () => {
      const line = ottla.stdout().split('\n', 2)
      if (line.length === 2) resolve(JSON.parse(line[0]!))
    })
    void ottla.exited.then((code) => reject(new Error(`the relay ended with ${code}: ${ottla.stderr()}`)))
  })
  return { ...ottla, ready, url: ready.websocket }
}

/** Ends what still runs and removes the folders. */
export async function endAll(): Promise<void> {
  for (const child of running) child.kill('SIGKILL')
  await Promise.all([...running].map((child) => new Promise((resolve) => child.once('close', resolve))))
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true })
}
