/**
 * A relay as a process of its own, for tests that kill it, flood it or weigh it. Bundled by child-relay.ts.
 *
 * Argument: JSON of `ChildOptions`. To the parent: `{ready}` once, then an answer to each `report`. What would end a
 * process by default (an uncaught exception, an unhandled rejection) is counted instead, so that a test sees it.
 */

import { systemClock } from '../../../protocol/lib/clock.ts'
import { createLogger } from '../../../server/logger.ts'
import { createRelay, type RelayOptions } from '../../../server/relay.ts'
import { MemoryFiles } from '../../../server/storage/memory-files.ts'

export interface ChildOptions {
  config: NonNullable<RelayOptions['config']>
  /** The disk is in memory: for tests in which only the network matters. */
  inMemory?: boolean
}

export interface ChildReport {
  rssBytes: number
  heapBytes: number
  /** Memory outside the heap that belongs to buffers. */
  bufferBytes: number
  uncaught: string[]
  /** Events of level error, each once. */
  errors: string[]
  events: Record<string, number>
}

const uncaught: string[] = []
process.on('uncaughtException', (error) => uncaught.push(error.stack ?? String(error)))
process.on('unhandledRejection', (error) => uncaught.push(error instanceof Error ? (error.stack ?? '') : String(error)))
process.on('disconnect', () => process.exit(0))

const errors = new Set<string>()
const events: Record<string, number> = {}
const options = JSON.parse(process.argv[2] ?? '{}') as ChildOptions

const relay = await createRelay({
  config: options.config,
  files: options.inMemory ? new MemoryFiles() : undefined,
  logger: createLogger({ format: 'json', level: 'debug', clock: systemClock, write: note }),
}).catch((error) => {
  process.send!({ failed: String(error) })
  process.exit(1)
})
process.send!({ ready: { websocket: relay.websocket.url, http: relay.http.url } })

process.on('message', (message: { ask: 'report' | 'stop' }) => {
  if (message.ask === 'report') process.send!({ report: report() })
  else void relay.close().then(() => process.disconnect())
})

function note(line: string): void {
  const { event, level, error, stack } = JSON.parse(line)
  events[event] = (events[event] ?? 0) + 1
  if (level === 'error' && errors.size < 20) errors.add(`${event}: ${stack ?? error ?? line}`)
}

function report(): ChildReport {
  for (let round = 0; round < 3; round++) globalThis.gc?.()
  const { rss, heapUsed, external } = process.memoryUsage()
  return {
    rssBytes: rss,
    heapBytes: heapUsed,
    bufferBytes: external,
    uncaught: [...uncaught],
    errors: [...errors],
    events: { ...events },
  }
}
