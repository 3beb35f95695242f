/** Starts relay-process.ts: bundled once per test file, any number of processes, all ended when the file's tests are. */
import { type ChildProcess, fork } from 'node:child_process'
import { rmSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { build } from 'vite'
import { onTestFinished } from 'vitest'
import type { ChildOptions, ChildReport, ChildTrouble } from './relay-process.ts'

const root = fileURLToPath(new URL('../../..', import.meta.url))
const outDir = `${root}dist/test/${process.pid}`
let built: Promise<void> | undefined

export interface ChildRelay {
  websocket: string
  http: string
  /** HOST:PORT; undefined while the Kafka door is closed. */
  kafka: string | undefined
  process: ChildProcess
  /** After garbage collection. */
  report(): Promise<ChildReport>
  onTrouble(listener: (trouble: ChildTrouble) => void): void
  /** SIGKILL, and waits for the end. */
  kill(): Promise<void>
  /** An orderly stop. */
  stop(): Promise<void>
  exited: Promise<void>
}

export async function startChildRelay(options: ChildOptions): Promise<ChildRelay> {
  built ??= bundleRelay()
  await built
  const child = fork(`${outDir}/relay-process.mjs`, [JSON.stringify(options)], {
    execArgv: ['--expose-gc'],
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  const kill = () => {
    child.kill('SIGKILL')
    return exited
  }
  onTestFinished(kill)
  const ready = await message<Pick<ChildRelay, 'websocket' | 'http' | 'kafka'>>(child, 'ready', exited)
  const report = () => {
    child.send({ ask: 'report' })
    return message<ChildReport>(child, 'report', exited)
  }
  const stop = () => {
    child.send({ ask: 'stop' })
    return exited
  }
  const onTrouble = (listener: (trouble: ChildTrouble) => void) =>
    void child.on('message', (received: { trouble?: ChildTrouble }) => {
      if (received.trouble) listener(received.trouble)
    })
  return { ...ready, process: child, report, onTrouble, kill, stop, exited }
}

function message<T>(child: ChildProcess, key: string, exited: Promise<void>): Promise<T> {
  return new Promise((resolve, reject) => {
    const onMessage = (received: unknown) => {
      const value = (received as Record<string, T>)[key]
      if (value === undefined) return
      child.off('message', onMessage)
      resolve(value)
    }
    child.on('message', onMessage)
    void exited.then(() => reject(new Error(`the relay's process ended before it sent "${key}"`)))
  })
}

async function bundleRelay(): Promise<void> {
  await mkdir(outDir, { recursive: true })
  process.once('exit', () => rmSync(outDir, { recursive: true, force: true }))
  await build({
    configFile: false,
    root,
    logLevel: 'warn',
    ssr: { noExternal: true, external: ['ws', '@node-rs/crc32', 'bufferutil', 'utf-8-validate'] },
    build: {
      ssr: true,
      outDir,
      emptyOutDir: true,
      target: 'node20',
      rolldownOptions: {
        input: { 'relay-process': fileURLToPath(new URL('./relay-process.ts', import.meta.url)) },
        external: ['ws', '@node-rs/crc32', 'bufferutil', 'utf-8-validate'],
        output: { entryFileNames: '[name].mjs', chunkFileNames: '[name]-[hash].mjs' },
      },
    },
  })
}
