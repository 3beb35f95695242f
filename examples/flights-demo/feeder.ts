/**
 * The demo's data feed, in a thread of its own: decoding half a second's worth of Parquet must not hold up the relay.
 *
 * Talks to its starter in `FeederMessage`s; the word 'stop' ends it after what was sent is committed.
 */

import { parentPort, workerData } from 'node:worker_threads'
import { connect, type Ottla } from '../../client/node.ts'
import { systemClock } from '../../protocol/lib/clock.ts'
import { openFlights } from './flights.ts'
import { replay } from './replay.ts'
import { findResumePoint } from './resume.ts'

export interface FeederOptions {
  url: string
  topic: string
  partitionCount: number
  speed: number
  loop: boolean
}

export type FeederMessage =
  | { type: 'started'; row: number; count: number }
  | { type: 'committed'; row: number }
  | { type: 'finished'; row: number }
  | { type: 'failed'; message: string }

/** Progress is told this often at most. */
const TELL_EVERY_MS = 500

export async function feed(options: FeederOptions, tell: (message: FeederMessage) => void, signal: AbortSignal) {
  const ottla = await connect(options.url, { clientId: 'flights-demo' })
  try {
    const source = await openFlights()
    const partitionCount = await ensureTopic(ottla, options)
    const resume = await findResumePoint(ottla, options.topic, partitionCount)
    let row = resume.row + resume.present.size
    let toldMs = Number.NEGATIVE_INFINITY
    tell({ type: 'started', row, count: source.count })
    await replay({
      ...options,
      ottla,
      source,
      resume,
      clock: systemClock,
      signal,
      onCommitted(committedRow) {
        row = committedRow
        const nowMs = systemClock.monotonic()
        if (nowMs - toldMs < TELL_EVERY_MS) return
        toldMs = nowMs
        tell({ type: 'committed', row })
      },
    })
    tell({ type: 'finished', row })
  } finally {
    await ottla.close()
  }
}

async function ensureTopic(ottla: Ottla, options: FeederOptions): Promise<number> {
  const { topic: name } = options
  await ottla.admin.createTopics([{ name, partitions: options.partitionCount }], { ifNotExists: true })
  return (await ottla.topic(name).info()).partitionCount
}

if (parentPort) {
  const port = parentPort
  const stopping = new AbortController()
  port.on('message', () => stopping.abort())
  feed(workerData as FeederOptions, (message) => port.postMessage(message), stopping.signal)
    .catch((error: unknown) => {
      port.postMessage({ type: 'failed', message: error instanceof Error ? error.message : String(error) })
    })
    .finally(() => port.close())
}
