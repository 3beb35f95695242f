/**
 * `ottla produce`: lines in, committed records out, progress between.
 *
 * At most IN_FLIGHT_MAX records and about IN_FLIGHT_BYTES_MAX are unacknowledged, whatever the input's speed. Records count when the relay has
 * them on disk. Ctrl-C stops reading, waits for what was sent, and reports how far it came.
 */

import { bytes, type Receipt } from '../client/node.ts'
import { systemClock } from '../protocol/lib/clock.ts'
import { EXIT_INTERRUPTED, EXIT_OK, type Invocation, listFlag, numberFlag, textFlag, UsageError } from './command.ts'
import { linesOf, openInput } from './input-lines.ts'
import { type InputOptions, type InputRecord, parseRecord } from './record-input.ts'
import { withRelay } from './relay-connection.ts'

const IN_FLIGHT_MAX = 20_000
const IN_FLIGHT_BYTES_MAX = 16 * 1024 * 1024
const PROGRESS_EVERY_MS = 500

export async function produce(invocation: Invocation): Promise<number> {
  const options = inputOptions(invocation)
  const [topicName = '', path] = invocation.positionals
  const input = openInput(path)
  const { signal } = invocation

  return withRelay(invocation, async (ottla) => {
    const topic = ottla.topic(topicName, { key: bytes, value: bytes })
    // A client that lives on waits a while for a topic to be made; somebody at a terminal has mistyped it.
    await topic.info()
    const tally = createTally(invocation)
    const flight = createFlight(tally.committed)
    let lineNumber = 0
    try {
      for await (const lines of linesOf(input, signal)) {
        const { records, fault } = parseLines(lines, lineNumber, options)
        flight.add(topic.sendAll(records), records)
        tally.sent(records.length)
        if (fault) throw fault
        lineNumber += lines.length
        await flight.hasRoom()
        if (flight.failure) break
      }
    } finally {
      await flight.landed()
      tally.end()
      await report(invocation, topicName, tally.result)
    }
    if (flight.failure) throw flight.failure
    return signal.aborted ? EXIT_INTERRUPTED : EXIT_OK
  })
}

/** The records up to the first line that is none. */
function parseLines(lines: readonly string[], lineNumberBefore: number, options: InputOptions) {
  const records: InputRecord[] = []
  try {
    for (const [index, line] of lines.entries()) {
      if (line === '' && options.format === 'ndjson') continue
      records.push(parseRecord(line, lineNumberBefore + index + 1, options))
    }
  } catch (fault) {
    return { records, fault }
  }
  return { records, fault: undefined }
}

/** What was sent and is not committed yet. Keeps the first failure. */
function createFlight(onCommitted: (count: number, sizeBytes: number) => void) {
  const flying = new Set<Promise<void>>()
  let records = 0
  let sizeBytes = 0
  const flight = {
    failure: undefined as unknown,
    add(receipts: readonly Receipt[], sent: readonly InputRecord[]) {
      for (const [index, receipt] of receipts.entries()) {
        const { key, value } = sent[index]!
        const recordBytes = (key?.length ?? 0) + (value?.length ?? 0)
        records++
        sizeBytes += recordBytes
        const settled = receipt.committed.then(
          () => onCommitted(1, recordBytes),
          (error: unknown) => {
            flight.failure ??= error
          },
        )
        flying.add(settled)
        void settled.then(() => {
          flying.delete(settled)
          records--
          sizeBytes -= recordBytes
        })
      }
    },
    /** The batch that is waited for brings thousands back at once, so this is not a round trip for each record. */
    async hasRoom() {
      while (records >= IN_FLIGHT_MAX || sizeBytes >= IN_FLIGHT_BYTES_MAX) await oldestOf(flying)
    },
    async landed() {
      await Promise.all(flying)
    },
  }
  return flight
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
    result,
    sent(count: number) {
      result.sent += count
    },
    committed(count: number, sizeBytes: number) {
      result.committed += count
      result.sizeBytes += sizeBytes
    },
    end() {
      clearInterval(interval)
      output.endProgress()
      result.durationMs = Math.round(systemClock.monotonic() - startedMs)
    },
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
