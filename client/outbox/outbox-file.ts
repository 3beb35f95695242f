/**
 * What waits in the outbox as a file that a person can keep, and the way back. One JSON object a line:
 *
 *   {"format":"ottla-outbox","version":2,"replica":"u-17","exportedAtMs":1700000000000}
 *   {"id":"…","topic":"notes","partition":0,"state":"pending","storedAtMs":…,"recordCount":1,"recordBatchBase64":"…"}
 *
 * A write is one line, or one for each of its parts, which follow each other; a transaction has one for each of its batches,
 * which say `"transaction":{"topics":[…]}`. Batches are Kafka's record batches, without a producer. Under a secret the first
 * line has `sealing` in place of the replica's name, and the others are as file-sealing.ts makes them.
 *
 * Invariants: a write that this device knows, waiting or ended of late, is not taken in again, so a file may be read any number
 * of times; parts of one write get ids that follow from its own. What may be in the log already is left out unless asked for.
 * Neither way has more than a slice of the outbox, or one write of the file, in memory.
 */
import type { Core, ExportedEntry, OutboxEntry } from '../core.ts'
import { deviceError } from '../device-errors.ts'
import { OttlaError } from '../errors.ts'
import type { Secret } from '../replica/sealed/encryption.ts'
import { fromBase64, toBase64 } from './base64.ts'
import { linesOf } from './file-lines.ts'
import { type FileSealing, newLineSealer, openedLines, openFileKey } from './file-sealing.ts'

export interface ExportOptions {
  /** Encrypts the file under it; text or at least 16 random bytes, as of a replica. */
  secret?: Secret
  /** Says that what an encrypted replica holds may lie in a file that anybody can read. */
  plain?: true
}

export interface ImportOptions {
  /** Also writes that were on their way, or of unknown outcome: they may then be in the log twice. Default false. */
  alsoUnknown?: boolean
  /** Of a file that was encrypted. */
  secret?: Secret
}

export interface ImportOutcome {
  imported: number
  /** Known to this device already. */
  known: number
  /** May be in the log: left out. */
  doubtful: number
}

type Line = Omit<ExportedEntry, 'batch' | 'part'> & { recordBatchBase64: string }
type FileCore = Pick<Core, 'status' | 'outbox' | 'enqueue' | 'enqueueTransaction' | 'outcomes'>

const FORMAT = 'ottla-outbox'
const VERSION = 2
/** Of the outbox at a time; one write may be larger. */
const SLICE_BYTES = 1024 * 1024
const SLICE_ENTRIES = 1_024

/** Rejects INVALID_ARGUMENT when the outbox of an encrypted replica would lie in a file in plain, unasked. */
export async function exportOutbox(
  core: FileCore,
  nowMs: number,
  { secret, plain }: ExportOptions = {},
  isEncrypted = false,
): Promise<Blob> {
  if (isEncrypted && secret === undefined && !plain) {
    const hint = 'pass a secret for the file, or plain: true'
    throw new OttlaError('INVALID_ARGUMENT', { message: 'this replica is encrypted, and its file would not be', hint })
  }
  const sealer = secret === undefined ? undefined : await newLineSealer(secret)
  const about = sealer ? { sealing: sealer.sealing } : { replica: core.status().replica }
  const parts = [new Blob([`${JSON.stringify({ format: FORMAT, version: VERSION, exportedAtMs: nowMs, ...about })}\n`])]
  for (const ids of slicesOf(await core.outbox.list())) {
    const lines: string[] = []
    for (const { batch, part: _, ...entry } of await core.outbox.export(ids)) {
      const line = JSON.stringify({ ...entry, recordBatchBase64: toBase64(batch) } satisfies Line)
      lines.push(`${sealer ? await sealer.line(line) : line}\n`)
    }
    // Handed to the browser, which may keep it on its disk.
    parts.push(new Blob(lines))
  }
  if (sealer) parts.push(new Blob([`${await sealer.end()}\n`]))
  return new Blob(parts, { type: 'application/x-ndjson' })
}

/** Rejects INVALID_ARGUMENT for what is no such file, LOCKED without its secret: nothing has been taken in then. And as `enqueue` does. */
export async function importOutbox(core: FileCore, file: Blob, options: ImportOptions = {}): Promise<ImportOutcome> {
  const open = await openerOf(file, options.secret)
  await checkAll(open())
  const waiting = new Set((await core.outbox.list()).map(({ id }) => id))
  const outcome: ImportOutcome = { imported: 0, known: 0, doubtful: 0 }
  for await (const lines of writesIn(open())) {
    const { id } = lines[0]!
    if (waiting.has(id) || (await isKnown(core, id, lines.length))) outcome.known++
    else if (!options.alsoUnknown && lines.some(({ state }) => state === 'in-flight' || state === 'unknown'))
      outcome.doubtful++
    else {
      await take(core, id, lines)
      outcome.imported++
    }
  }
  return outcome
}

/** Ids of entries that are read at a time. */
function* slicesOf(entries: readonly OutboxEntry[]): Generator<string[]> {
  let ids = new Set<string>()
  let sizeBytes = 0
  for (const entry of entries) {
    if (ids.size > 0 && (sizeBytes + entry.sizeBytes > SLICE_BYTES || ids.size >= SLICE_ENTRIES)) {
      yield [...ids]
      ids = new Set()
      sizeBytes = 0
    }
    ids.add(entry.id)
    sizeBytes += entry.sizeBytes
  }
  if (ids.size > 0) yield [...ids]
}

/** Gives the file's lines in plain, behind the first, as often as they are wanted. */
async function openerOf(file: Blob, secret: Secret | undefined): Promise<() => AsyncGenerator<string>> {
  const sealing = await sealingOf(file)
  if (!sealing) return () => behindFirst(linesOf(file))
  if (secret === undefined) {
    const hint = 'pass the secret under which it was exported'
    throw deviceError('LOCKED', { message: 'this file of an outbox is encrypted', hint })
  }
  const sealer = await openFileKey(sealing, secret)
  return () => openedLines(behindFirst(linesOf(file)), sealer)
}

async function sealingOf(file: Blob): Promise<FileSealing | undefined> {
  const lines = linesOf(file)
  const first = await lines.next()
  await lines.return(undefined)
  try {
    const head = JSON.parse(first.done ? '' : first.value) as Partial<Record<'format' | 'version', unknown>>
    if (head.format !== FORMAT || head.version !== VERSION) throw new Error(`it says ${head.format} ${head.version}`)
    return (head as { sealing?: FileSealing }).sealing
  } catch (cause) {
    throw noSuchFile(cause)
  }
}

async function* behindFirst(lines: AsyncGenerator<string>): AsyncGenerator<string> {
  await lines.next()
  yield* lines
}

/** Before anything is taken in. */
async function checkAll(lines: AsyncIterable<string>): Promise<void> {
  const ids = new Set<string>()
  for await (const [{ id }] of writesIn(lines)) {
    if (ids.has(id)) throw noSuchFile(new Error(`the parts of write ${id} are not together`))
    ids.add(id)
  }
}

/** The lines of each write. */
async function* writesIn(lines: AsyncIterable<string>): AsyncGenerator<[Line, ...Line[]]> {
  let write: [Line, ...Line[]] | undefined
  for await (const text of lines) {
    const line = lineFrom(text)
    if (write && write[0].id === line.id) write.push(line)
    else {
      if (write) yield write
      write = [line]
    }
  }
  if (write) yield write
}

async function take(core: FileCore, id: string, lines: readonly Line[]): Promise<void> {
  const writes = lines.map(({ topic, partition, recordBatchBase64 }) => ({
    topic,
    partition,
    batch: batchFrom(recordBatchBase64, id),
  }))
  if (lines[0]?.transaction) {
    await core.enqueueTransaction({ id, writes, expiresAtMs: null })
    return
  }
  for (const [part, write] of writes.entries()) {
    await core.enqueue({ id: writes.length === 1 ? id : `${id}/${part}`, ...write })
  }
}

/** Also of a write whose parts were taken in, if all of them were: an import may have been interrupted between two. */
async function isKnown(core: FileCore, id: string, partCount: number): Promise<boolean> {
  const parts = Array.from({ length: partCount }, (_, part) => `${id}/${part}`)
  // There is none of what still waits.
  const unheardOf = (await core.outcomes([id, ...parts])).filter(({ outcome }) => outcome === 'unknown')
  const unheardIds = new Set(unheardOf.map((settled) => settled.id))
  return !unheardIds.has(id) || !parts.some((part) => unheardIds.has(part))
}

function lineFrom(text: string): Line {
  try {
    return checked(JSON.parse(text))
  } catch (cause) {
    throw noSuchFile(cause)
  }
}

function checked(line: Partial<Line>): Line {
  const { id, topic, partition, recordBatchBase64 } = line
  const isWhole = typeof id === 'string' && typeof topic === 'string' && typeof recordBatchBase64 === 'string'
  if (!isWhole || (partition !== null && typeof partition !== 'number')) throw new Error('a line is not whole')
  return line as Line
}

function batchFrom(text: string, id: string): Uint8Array {
  try {
    return fromBase64(text)
  } catch (cause) {
    throw new OttlaError('INVALID_ARGUMENT', { message: `the batch of write ${id} is not base64`, cause })
  }
}

const noSuchFile = (cause: unknown) =>
  new OttlaError('INVALID_ARGUMENT', { message: `this is no ${FORMAT} file of version ${VERSION}`, cause })
