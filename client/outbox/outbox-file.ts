/**
 * What waits in the outbox as a file that a person can keep, and the way back. One JSON object a line:
 *
 *   {"format":"ottla-outbox","version":2,"replica":"u-17","exportedAtMs":1700000000000}
 *   {"id":"…","topic":"notes","partition":0,"state":"pending","storedAtMs":…,"recordCount":1,"recordBatchBase64":"…"}
 *
 * A write is one line, or one for each of its parts; a transaction has one for each of its batches, which say
 * `"transaction":{"topics":[…]}`. Batches are Kafka's record batches, without a producer.
 *
 * Invariants: a write that this device knows, waiting or ended of late, is not taken in again, so a file may be read any number
 * of times; parts of one write get ids that follow from its own. What may be in the log already is left out unless asked for.
 */
import type { Core, ExportedEntry } from '../core.ts'
import { OttlaError } from '../errors.ts'

export interface ImportOptions {
  /** Also writes that were on their way, or of unknown outcome: they may then be in the log twice. Default false. */
  alsoUnknown?: boolean
}

export interface ImportOutcome {
  imported: number
  /** Known to this device already. */
  known: number
  /** May be in the log: left out. */
  doubtful: number
}

type Line = Omit<ExportedEntry, 'batch'> & { recordBatchBase64: string }
type FileCore = Pick<Core, 'status' | 'outbox' | 'enqueue' | 'enqueueTransaction' | 'outcomes'>

const FORMAT = 'ottla-outbox'
const VERSION = 2
const ENTRIES_AT_A_TIME = 64
const ENCODE_AT_A_TIME = 8_192

export async function exportOutbox(core: FileCore, nowMs: number): Promise<Blob> {
  const ids = [...new Set((await core.outbox.list()).map(({ id }) => id))]
  const head = { format: FORMAT, version: VERSION, replica: core.status().replica, exportedAtMs: nowMs }
  const parts = [`${JSON.stringify(head)}\n`]
  for (let from = 0; from < ids.length; from += ENTRIES_AT_A_TIME) {
    const entries = await core.outbox.export(ids.slice(from, from + ENTRIES_AT_A_TIME))
    for (const { batch, ...entry } of entries) {
      parts.push(`${JSON.stringify({ ...entry, recordBatchBase64: base64(batch) } satisfies Line)}\n`)
    }
  }
  return new Blob(parts, { type: 'application/x-ndjson' })
}

/** Rejects INVALID_ARGUMENT for what is no such file, and what `enqueue` rejects with; what came before is stored then. */
export async function importOutbox(core: FileCore, file: Blob, options: ImportOptions = {}): Promise<ImportOutcome> {
  const writes = grouped(linesOf(await file.text()))
  const waiting = new Set((await core.outbox.list()).map(({ id }) => id))
  const outcome: ImportOutcome = { imported: 0, known: 0, doubtful: 0 }
  for (const [id, lines] of writes) {
    if (waiting.has(id) || (await hasEnded(core, id))) outcome.known++
    else if (!options.alsoUnknown && lines.some(({ state }) => state === 'in-flight' || state === 'unknown'))
      outcome.doubtful++
    else {
      await take(core, id, lines)
      outcome.imported++
    }
  }
  return outcome
}

async function take(core: FileCore, id: string, lines: readonly Line[]): Promise<void> {
  const writes = lines.map(({ topic, partition, recordBatchBase64 }) => ({
    topic,
    partition,
    batch: fromBase64(recordBatchBase64, id),
  }))
  if (lines[0]?.transaction) {
    await core.enqueueTransaction({ id, writes, expiresAtMs: null })
    return
  }
  for (const [part, write] of writes.entries()) {
    await core.enqueue({ id: writes.length === 1 ? id : `${id}/${part}`, ...write })
  }
}

/** Also of a write whose parts were taken in: the first of them says it. */
async function hasEnded(core: FileCore, id: string): Promise<boolean> {
  const outcomes = await core.outcomes([id, `${id}/0`])
  return outcomes.length < 2 || outcomes.some(({ outcome }) => outcome !== 'unknown')
}

function grouped(lines: readonly Line[]): Map<string, Line[]> {
  const byId = new Map<string, Line[]>()
  for (const line of lines) byId.set(line.id, [...(byId.get(line.id) ?? []), line])
  return byId
}

function linesOf(text: string): Line[] {
  const [head, ...lines] = text.split('\n').filter((line) => line !== '')
  try {
    const { format, version } = JSON.parse(head ?? '') as { format?: unknown; version?: unknown }
    if (format !== FORMAT || version !== VERSION) throw new Error(`it says ${format} ${version}`)
    return lines.map((line) => checked(JSON.parse(line)))
  } catch (cause) {
    throw new OttlaError('INVALID_ARGUMENT', { message: `this is no ${FORMAT} file of version ${VERSION}`, cause })
  }
}

function checked(line: Partial<Line>): Line {
  const { id, topic, partition, recordBatchBase64 } = line
  const isWhole = typeof id === 'string' && typeof topic === 'string' && typeof recordBatchBase64 === 'string'
  if (!isWhole || (partition !== null && typeof partition !== 'number')) throw new Error('a line is not whole')
  return line as Line
}

function fromBase64(text: string, id: string): Uint8Array {
  try {
    return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0))
  } catch (cause) {
    throw new OttlaError('INVALID_ARGUMENT', { message: `the batch of write ${id} is not base64`, cause })
  }
}

// In pieces: a spread of a whole batch would overflow the stack of arguments.
function base64(bytes: Uint8Array): string {
  let text = ''
  for (let at = 0; at < bytes.length; at += ENCODE_AT_A_TIME) {
    text += String.fromCharCode(...bytes.subarray(at, at + ENCODE_AT_A_TIME))
  }
  return btoa(text)
}
