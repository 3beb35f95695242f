/** The demo goes on where it stopped, however it stopped. */
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { afterEach, expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { endAll, runOttla, startRelay, temporaryFolder } from '../support/ottla-process.ts'

const DEMO = fileURLToPath(new URL('../../dist/demo/flights.js', import.meta.url))
const PARTITIONS = 3

afterEach(endAll)

interface DemoProcess {
  /** The highest row that the feed has told of. */
  row(): number
  end(signal: NodeJS.Signals): Promise<number | null>
  stderr(): string
}

const ended: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const end of ended.splice(0)) await end()
})

function startDemo(data: string, speed: string): DemoProcess {
  const flags = ['--data', data, '--http-port', '0', '--speed', speed, '--partitions', String(PARTITIONS), '--json']
  const child = spawn(process.execPath, [DEMO, ...flags])
  const exited = new Promise<number | null>((resolve) => child.once('close', resolve))
  let stderr = ''
  child.stderr.on('data', (piece: Buffer) => {
    stderr += piece
  })
  const end = (signal: NodeJS.Signals) => {
    child.kill(signal)
    return exited
  }
  ended.push(() => end('SIGKILL'))
  const row = () => Math.max(-1, ...[...stderr.matchAll(/"row":(\d+)/g)].map((match) => Number(match[1])))
  return { row, end, stderr: () => stderr }
}

async function rowsInLog(data: string): Promise<number[]> {
  const relay = await startRelay(['--data', data])
  const { stdout } = await runOttla(['consume', 'flights', '--format', '%h', '--url', relay.url])
  relay.process.kill('SIGTERM')
  await relay.exited
  return [...stdout.matchAll(/row=(\d+)/g)].map((match) => Number(match[1]))
}

test('[DEMO-1] killed twice and stopped once, every flight is in the log once and none is missing', async () => {
  const data = temporaryFolder()
  let reached = 0
  for (const signal of ['SIGKILL', 'SIGKILL', 'SIGINT'] as const) {
    const demo = startDemo(data, 'max')
    await eventually(() => demo.row() > reached + 5000, { withinMs: 60_000, what: 'flights arrive' })
    reached = demo.row()
    const code = await demo.end(signal)
    expect(code, demo.stderr()).toBe(signal === 'SIGINT' ? 0 : null)
  }
  const rows = (await rowsInLog(data)).sort((a, b) => a - b)
  expect(rows.length).toBeGreaterThan(reached)
  expect(rows.findIndex((row, index) => row !== index)).toBe(-1)
}, 90_000)
