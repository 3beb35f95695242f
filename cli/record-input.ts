/**
 * Turns input lines into records to write: plain lines, lines with keys, or NDJSON.
 *
 * Every refusal names the line, so that the one bad row of a million is found. What was already sent stays sent.
 */

/** A record as the command line knows it; bytes are made of it once, here. */
export interface InputRecord {
  key: Uint8Array | null
  value: Uint8Array | null
  headers: { key: string; value: Uint8Array | null }[]
  partition?: number
  /** Milliseconds since the epoch; absent: now. */
  timestamp?: number
}

export interface InputOptions {
  format: 'lines' | 'ndjson'
  keySeparator?: string
  /** For records that have no key of their own. */
  key?: string
  headers: readonly { key: string; value: Uint8Array | null }[]
  partition?: number
}

export class InputError extends Error {
  readonly code = 'BAD_INPUT'

  constructor(lineNumber: number, problem: string) {
    super(`input line ${lineNumber}: ${problem}`)
    this.name = 'InputError'
  }
}

const utf8 = new TextEncoder()

/** @throws InputError naming the line. */
export function parseRecord(line: string, lineNumber: number, options: InputOptions): InputRecord {
  return options.format === 'ndjson' ? parseJsonRecord(line, lineNumber, options) : parseLine(line, options)
}

function parseLine(line: string, { keySeparator, key, headers, partition }: InputOptions): InputRecord {
  const at = keySeparator ? line.indexOf(keySeparator) : -1
  const ownKey = at >= 0 ? line.slice(0, at) : key
  return {
    key: ownKey === undefined ? null : utf8.encode(ownKey),
    value: utf8.encode(at >= 0 ? line.slice(at + keySeparator!.length) : line),
    headers: [...headers],
    partition,
  }
}

function parseJsonRecord(line: string, lineNumber: number, options: InputOptions): InputRecord {
  let row: unknown
  try {
    row = JSON.parse(line)
  } catch (error) {
    throw new InputError(lineNumber, `not JSON: ${(error as Error).message}`)
  }
  if (typeof row !== 'object' || row === null || Array.isArray(row)) {
    throw new InputError(lineNumber, `an object such as {"key": "a", "value": "b"} is needed, found ${shorten(line)}`)
  }
  const fields = row as Record<string, unknown>
  const unknownField = Object.keys(fields).find((name) => !KNOWN_FIELDS.has(name))
  if (unknownField !== undefined) {
    throw new InputError(lineNumber, `unknown field "${shorten(unknownField)}"; use ${[...KNOWN_FIELDS].join(', ')}`)
  }
  return {
    key: fields.key === undefined ? (options.key === undefined ? null : utf8.encode(options.key)) : bytesOf(fields.key),
    value: bytesOf(fields.value ?? null),
    headers: [...options.headers, ...headersOf(fields.headers, lineNumber)],
    partition: wholeNumber(fields.partition, 'partition', 2 ** 31 - 1, lineNumber) ?? options.partition,
    timestamp: wholeNumber(fields.timestamp, 'timestamp', Number.MAX_SAFE_INTEGER, lineNumber),
  }
}

/** `topic` and `offset` are read over, so that what `consume --json` printed can be written back. */
const KNOWN_FIELDS = new Set(['key', 'value', 'headers', 'partition', 'timestamp', 'topic', 'offset'])

/** Texts as they are, `{"base64": "…"}` as bytes, everything else as JSON. */
function bytesOf(value: unknown): Uint8Array | null {
  if (value === null) return null
  if (typeof value === 'string') return utf8.encode(value)
  const base64 = base64Of(value)
  return base64 === undefined ? utf8.encode(JSON.stringify(value)) : new Uint8Array(Buffer.from(base64, 'base64'))
}

function base64Of(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null || Object.keys(value).length !== 1) return undefined
  const { base64 } = value as { base64?: unknown }
  return typeof base64 === 'string' ? base64 : undefined
}

function headersOf(value: unknown, lineNumber: number): InputRecord['headers'] {
  if (value === undefined || value === null) return []
  const pairs = Array.isArray(value) ? value : typeof value === 'object' ? Object.entries(value) : [undefined]
  return pairs.map((pair: unknown) => {
    if (!isNamed(pair)) {
      throw new InputError(
        lineNumber,
        'headers must be an object such as {"source": "shell"}, or [["source", "shell"]]',
      )
    }
    return { key: pair[0], value: bytesOf(pair[1]) }
  })
}

const isNamed = (pair: unknown): pair is [string, unknown] =>
  Array.isArray(pair) && pair.length === 2 && typeof pair[0] === 'string'

function wholeNumber(value: unknown, name: string, max: number, lineNumber: number): number | undefined {
  if (value === undefined || value === null) return undefined
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 && value <= max) return value
  throw new InputError(
    lineNumber,
    `${name} must be a whole number, 0 to ${max}, found ${shorten(JSON.stringify(value))}`,
  )
}

function shorten(text: string): string {
  return text.length > 60 ? `${text.slice(0, 57)}...` : text
}
