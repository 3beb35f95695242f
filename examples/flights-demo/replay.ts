/**
 * Replays flights into a topic at a pace, through the ordinary client.
 *
 * Rows go out in order, in chunks of at most CHUNK; at most CHUNKS_IN_FLIGHT chunks are unacknowledged, which keeps
 * the promise that `resume.ts` relies on.
 */

import { json, type Ottla, string, type Topic } from '../../client/node.ts'
import { type Clock, sleep } from '../../protocol/lib/clock.ts'
import type { Flight, FlightAt, FlightSource } from './flights.ts'
import { createPace } from './pace.ts'
import { type ResumePoint, ROW_HEADER, WINDOW } from './resume.ts'

const CHUNKS_IN_FLIGHT = 4
const CHUNK = WINDOW / CHUNKS_IN_FLIGHT
/**
 * The first day and the second one's morning come at once, so that a page that is opened right away finds a history
 * and traffic, not the quiet of a New Year's night.
 */
const HEAD_START_MS = 32 * 3_600_000
/** Flights due within this time go out together. */
const TICK_MS = 20

export interface ReplayOptions {
  ottla: Ottla
  topic: string
  source: FlightSource
  resume: ResumePoint
  /** Times faster than the data's own clock. */
  speed: number
  /** Begin again after the last flight; rows go on counting, so nothing looks like a repetition. */
  loop: boolean
  clock: Clock
  signal: AbortSignal
  /** Rows below this are on the relay's disk. */
  onCommitted(row: number): void
}

/** Resolves when everything is committed: after the last flight, or soon after `signal` aborts. */
export async function replay(options: ReplayOptions): Promise<void> {
  const { source, resume, signal } = options
  const chunks = createChunks(options)
  for (let row = resume.row; options.loop || row < source.count; ) {
    const round = Math.floor(row / source.count)
    const pace = createPace(options.speed, options.clock)
    for await (const flight of source.from(row % source.count)) {
      if (signal.aborted) break
      row = round * source.count + flight.row
      if (resume.present.has(row)) continue
      const waitMs = round === 0 && flight.atMs < source.beginsMs + HEAD_START_MS ? 0 : pace.waitMs(flight.atMs)
      if (waitMs > TICK_MS) {
        await chunks.send()
        await sleep(options.clock, waitMs, signal).catch(() => {})
        if (signal.aborted) break
      }
      await chunks.add(flight, row)
    }
    if (signal.aborted) break
    row = (round + 1) * source.count
  }
  await chunks.finish()
}

function createChunks({ ottla, topic: name, onCommitted }: ReplayOptions) {
  const topic: Topic<string, Flight> = ottla.topic(name, { key: string, value: json<Flight>() })
  const encoder = new TextEncoder()
  const inFlight: Promise<void>[] = []
  let chunk: { flight: Flight; row: number }[] = []

  async function send(): Promise<void> {
    if (chunk.length === 0) return
    const rows = chunk
    chunk = []
    const receipts = topic.sendAll(
      rows.map(({ flight, row }) => ({
        key: flight.origin,
        value: flight,
        headers: [{ key: ROW_HEADER, value: encoder.encode(String(row)) }],
      })),
    )
    const committed = Promise.all(receipts.map((receipt) => receipt.committed)).then(() =>
      onCommitted(rows.at(-1)!.row + 1),
    )
    // Looked at when its turn comes; until then a failure must not count as unhandled.
    committed.catch(() => {})
    inFlight.push(committed)
    if (inFlight.length >= CHUNKS_IN_FLIGHT) await inFlight.shift()
  }
  return {
    send,
    async add({ flight }: FlightAt, row: number) {
      chunk.push({ flight, row })
      if (chunk.length >= CHUNK) await send()
    },
    async finish() {
      await send()
      while (inFlight.length > 0) await inFlight.shift()
    },
  }
}
