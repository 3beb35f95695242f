/**
 * A relay as a process of its own, for tests that kill it, flood it or weigh it. Bundled by child-relay.ts.
 *
 * Argument: JSON of `ChildOptions`. To the parent: `{ready}` once, `{trouble}` when something happens that must not, and an
 * answer to each `report`. What would end a process by default (an uncaught exception, an unhandled rejection) is counted
 * instead, so that a test sees it.
 */

import { systemClock } from '../../../protocol/lib/clock.ts'
import { createLogger } from '../../../server/logger.ts'
import { createRelay, type RelayOptions } from '../../../server/relay.ts'
import { MemoryFiles } from '../../../server/storage/memory-files.ts'
import { nodeFiles } from '../../../server/storage/node-files.ts'
import { FaultyFiles } from '../../support/faulty-files.ts'
import type { KillAim } from '../kills/aims.ts'
import { type Stall, watchStalls } from './stall-watch.ts'

export interface ChildOptions {
  config: NonNullable<RelayOptions['config']>
  /** The disk is in memory: for tests in which only the network matters. */
  inMemory?: boolean
  /** It kills itself just before this call on its disk. */
  killAt?: KillAim
  checkpointBytes?: number
}

/** Told at once, so that a test knows what was going on. */
export interface ChildTrouble {
  what: string
}

export interface ChildReport {
  rssBytes: number
  /** The most that it ever was. */
  peakRssBytes: number
  heapBytes: number
  /** Memory outside the heap that belongs to buffers. */
  bufferBytes: number
  uncaught: string[]
  /** Events of level error, each once. */
  errors: string[]
  events: Record<string, number>
  /** Longest time that the event loop stood still since the last report, if it was noticeable. */
  longestStall: Stall | undefined
}

/** Noted, and told at once. */
const STALL_MS = 50
const TOLD_STALL_MS = 200

const uncaught: string[] = []
process.on('uncaughtException', noteUncaught)
process.on('unhandledRejection', noteUncaught)
process.on('disconnect', () => process.exit(0))
let longestStall: Stall | undefined
const stalls = watchStalls(STALL_MS, (stall) => {
  if (stall.stalledMs > (longestStall?.stalledMs ?? 0)) longestStall = stall
  if (stall.stalledMs >= TOLD_STALL_MS) tell(`the event loop stood still for ${stall.stalledMs.toFixed(0)} ms`)
})

const errors = new Set<string>()
const events: Record<string, number> = {}
const options = JSON.parse(process.argv[2] ?? '{}') as ChildOptions

const relay = await createRelay({
  config: options.config,
  files: options.killAt ? deadlyFiles(options.killAt) : options.inMemory ? new MemoryFiles() : undefined,
  checkpointBytes: options.checkpointBytes,
  logger: createLogger({ format: 'json', level: 'debug', clock: systemClock, write: note }),
}).catch((error) => {
  process.send!({ failed: String(error) })
  process.exit(1)
})
process.send!({ ready: { websocket: relay.websocket.url, http: relay.http.url, kafka: relay.kafka?.address } })

process.on('message', (message: { ask: 'report' | 'stop' }) => {
  if (message.ask === 'report') process.send!({ report: report() })
  else void relay.close().then(() => process.disconnect())
})

function deadlyFiles(aim: KillAim): FaultyFiles {
  const files = new FaultyFiles(nodeFiles)
  const path = new RegExp(aim.path)
  let count = 0
  files.onCall = (call, at) => {
    if (call === aim.call && path.test(at) && ++count === aim.at) process.kill(process.pid, 'SIGKILL')
  }
  return files
}

function note(line: string): void {
  const { event, level, error, stack } = JSON.parse(line)
  events[event] = (events[event] ?? 0) + 1
  if (level !== 'error' || errors.size >= 20) return
  const text = `${event}: ${stack ?? error ?? line}`
  if (!errors.has(text)) tell(text)
  errors.add(text)
}

function noteUncaught(error: unknown): void {
  const text = error instanceof Error ? (error.stack ?? String(error)) : String(error)
  uncaught.push(text)
  tell(`uncaught: ${text}`)
}

function tell(what: string): void {
  const trouble: ChildTrouble = { what }
  process.send?.({ trouble })
}

function report(): ChildReport {
  stalls.skip()
  const longest = longestStall
  longestStall = undefined
  for (let round = 0; round < 3; round++) globalThis.gc?.()
  const { rss, heapUsed, external } = process.memoryUsage()
  stalls.skip()
  return {
    rssBytes: rss,
    peakRssBytes: process.resourceUsage().maxRSS * 1024,
    heapBytes: heapUsed,
    bufferBytes: external,
    uncaught: [...uncaught],
    errors: [...errors],
    events: { ...events },
    longestStall: longest,
  }
}
