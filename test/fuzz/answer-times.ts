/**
 * How long a relay takes to answer others while it is being flooded, and how long the machine lets a process wait that
 * has nothing to do but to answer: on a busy machine both grow, and only the difference is the relay's.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { ping } from '../../protocol/messages/offset-protocol.ts'
import type { RelayClient } from '../support/relay-client.ts'

export interface AnswerTimes {
  count: number
  relayP99Ms: number
  machineP99Ms: number
}

const PAUSE_MS = 5
const ECHO = "process.on('message', (message) => process.send(message))"

/** Asks both, one after the other, until `until` settles. */
export async function answerTimes(client: RelayClient, until: Promise<unknown>): Promise<AnswerTimes> {
  const echo = spawn(process.execPath, ['-e', ECHO], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
  let isOver = false
  const end = () => {
    isOver = true
  }
  until.then(end, end)
  const [relay, machine]: [number[], number[]] = [[], []]
  try {
    await echoed(echo)
    while (!isOver) {
      relay.push(await timed(() => client.call(ping, { clientTimeMs: 0 })))
      machine.push(await timed(() => echoed(echo)))
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS))
    }
  } finally {
    echo.kill()
  }
  return { count: relay.length, relayP99Ms: p99(relay), machineP99Ms: p99(machine) }
}

async function timed(ask: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now()
  await ask()
  return performance.now() - startedAt
}

function echoed(echo: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    echo.once('message', () => resolve())
    echo.send(0)
  })
}

const p99 = (times: number[]) => Math.round(times.sort((a, b) => a - b)[Math.floor(times.length * 0.99)] ?? 0)
