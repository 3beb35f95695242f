/**
 * Fills the flight log from the topic: first what this device holds, then what arrives.
 *
 * Rates are counted at arrival, the picture is paced by the playhead. A lost connection ends nothing here:
 * the reader goes on by itself; only an error that it cannot mend is shown, and then tried again.
 */
import { errorInfo, isAbort } from '../errors.ts'
import type { ErrorInfo, LogRecord, Source } from '../source.ts'
import { type ArrivalSorter, sortArrivals } from './arrival-sorter.ts'
import { readFlight } from './flight.ts'
import type { FlightLog } from './flight-log.ts'
import { RateWindow } from './rate-window.ts'

const RETRY_MS = 3000
const utf8 = new TextDecoder()

export interface Feed {
  /** Records a second over the last few seconds. */
  rate(nowMs: number): number
  /** The newest record's timestamp; null when there is none. */
  newestMs: number | null
  received: number
  /** Records that are no flights. */
  skipped: number
  error: ErrorInfo | null
}

export function startFeed(source: Source, topic: string, log: FlightLog, until: AbortSignal): Feed {
  const arrivals = new RateWindow()
  const feed: Feed = { rate: (nowMs) => arrivals.rate(nowMs), newestMs: null, received: 0, skipped: 0, error: null }

  const sorter = sortArrivals(log, until)
  const follow = async () => {
    log.clear()
    sorter.restart()
    const held = heldEnds(source, topic)
    for await (const records of source.read(topic, { from: { last: log.capacity }, follow: true, signal: until })) {
      feed.error = null
      arrivals.add(
        performance.now(),
        records.filter((record) => record.offset >= (held.get(record.partition) ?? 0)).length,
      )
      for (const record of records) take(record, sorter, feed)
    }
  }
  const keepFollowing = async () => {
    while (!until.aborted) {
      try {
        await follow()
      } catch (error) {
        if (!isAbort(error)) feed.error = errorInfo(error)
      }
      await pause(RETRY_MS, until)
    }
  }
  void keepFollowing()
  return feed
}

/** Where this device's replica ended at the start: what lies before was read here, it has not arrived now. */
function heldEnds(source: Source, topic: string): Map<number, number> {
  const known = source.status().topics.find((each) => each.name === topic)
  return new Map(known?.replica.map((range) => [range.partition, range.end]))
}

function take(record: LogRecord, sorter: ArrivalSorter, feed: Feed): void {
  feed.received += 1
  feed.newestMs = Math.max(feed.newestMs ?? 0, record.timestampMs)
  const flight = record.value ? readFlight(parse(record.value), record.timestampMs) : null
  if (flight) sorter.add(flight)
  else feed.skipped += 1
}

function parse(value: Uint8Array): unknown {
  try {
    return JSON.parse(utf8.decode(value))
  } catch {
    return null
  }
}

function pause(ms: number, until: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms)
    until.addEventListener(
      'abort',
      () => {
        clearTimeout(timer)
        resolve()
      },
      { once: true },
    )
  })
}
