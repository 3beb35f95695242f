/**
 * `ottla produce`: lines in, committed records out, progress between.
 *
 * At most IN_FLIGHT_MAX records and about IN_FLIGHT_BYTES_MAX are unacknowledged, whatever the input's speed. Records count when the relay has
 * them on disk. Ctrl-C stops reading, waits for what was sent, and reports how far it came.
 */

import { bytes } from '../client/index.ts'
import { systemClock } from '../protocol/lib/clock.ts'
import { EXIT_INTERRUPTED, EXIT_OK, type Invocation, listFlag, numberFlag, textFlag, UsageError } from './command.ts'
import { linesOf, openInput } from './input-lines.ts'
import { type InputOptions, parseRecord } from './record-input.ts'
import { withRelay } from './relay-connection.ts'

const IN_FLIGHT_MAX = 20_000
const IN_FLIGHT_BYTES_MAX = 16 * 1024 * 1024
/** Lines come in bursts; so short a wait lets a burst share its batches. */
const LINGER_MS = 5
const PROGRESS_EVERY_MS = 500

export async function produce(invocation: Invocation): Promise<number> {
  const options = inputOptions(invocation)
  const [topicName = '', path] = invocation.positionals
  const input = openInput(path)
  const { output, signal } = invocation

  return withRelay(invocation, async (ottla) => {
    const topic = ottla.topic(topicName, { key: bytes, value: bytes, lingerMs: LINGER_MS })
    const tally = createTally(invocation)
    const inFlight = new Set<Promise<void>>()
    let failure: unknown
    let lineNumber = 0
    let inFlightBytes = 0

    for await (const line of linesOf(input, signal)) {
      lineNumber++
      if (line === '' && options.format === 'ndjson') continue
      const receipt = topic.send(parseRecord(line, lineNumber, options))
      receipt.stored.catch(() => {})
      const committed = receipt.committed.then(
        () => tally.committed(line.length),
        (error: unknown) => {
          failure ??= error
        },
      )
      inFlight.add(committed)
      inFlightBytes += line.length
      void committed.then(() => {
        inFlight.delete(committed)
        inFlightBytes -= line.length
      })
      tally.sent()
      // The one batch that is waited for brings thousands back at once, so this is not a round trip for each record.
      while (inFlight.size >= IN_FLIGHT_MAX || inFlightBytes >= IN_FLIGHT_BYTES_MAX) await oldestOf(inFlight)
      if (failure) break
    }
    await Promise.all(inFlight)
    tally.end()
    if (failure) throw failure
    await report(invocation, topicName, tally.result())
    output.endProgress()
    return signal.aborted ? EXIT_INTERRUPTED : EXIT_OK
  })
}

/** A Set keeps the order of insertion. Racing all of them would cost a listener on each, every time. */
function oldestOf(inFlight: ReadonlySet<Promise<void>>): Promise<void> | undefined {
  for (const oldest of inFlight) return oldest
  return undefined
}

/** @throws UsageError */
function inputOptions(invocation: Invocation): InputOptions {
  const format = textFlag(invocation, 'format') ?? 'lines'
  if (format !== 'lines' && format !== 'ndjson') {
    throw new UsageError(`--format: '${format}' is not allowed; use lines or ndjson`)
  }
  return {
    format,
    keySeparator: textFlag(invocation, 'key-separator'),
    key: textFlag(invocation, 'key'),
    headers: listFlag(invocation, 'header').map(headerOf),
    partition: numberFlag(invocation, 'partition', { min: 0, max: 2 ** 31 - 1 }),
  }
}

function headerOf(pair: string): { key: string; value: Uint8Array } {
  const at = pair.indexOf('=')
  if (at <= 0) throw new UsageError(`--header: '${pair}' is not allowed; use NAME=VALUE`)
  return { key: pair.slice(0, at), value: Buffer.from(pair.slice(at + 1)) }
}

interface Result {
  sent: number
  committed: number
  sizeBytes: number
  durationMs: number
}

function createTally({ output }: Invocation) {
  const startedMs = systemClock.monotonic()
  const result: Result = { sent: 0, committed: 0, sizeBytes: 0, durationMs: 0 }
  const show = () => {
    const seconds = (systemClock.monotonic() - startedMs) / 1000
    output.progress(
      `${result.committed} of ${result.sent} committed, ${Math.round(result.committed / seconds)} records/s, ` +
        `${(result.sizeBytes / seconds / 1e6).toFixed(1)} MB/s`,
    )
  }
  const interval = setInterval(show, PROGRESS_EVERY_MS)
  return {
    sent: () => {
      result.sent++
    },
    committed: (sizeBytes: number) => {
      result.committed++
      result.sizeBytes += sizeBytes
    },
    end() {
      clearInterval(interval)
      result.durationMs = Math.round(systemClock.monotonic() - startedMs)
    },
    result: () => result,
  }
}

async function report({ output, json }: Invocation, topic: string, result: Result): Promise<void> {
  if (json) {
    await output.json({ topic, ...result })
    return
  }
  const seconds = Math.max(result.durationMs, 1) / 1000
  const rate = Math.round(result.committed / seconds)
  output.note(`${result.committed} records committed to ${topic} in ${seconds.toFixed(2)} s (${rate}/s)`)
}
