/**
 * Prints a record as text, JSON or by a pattern like kcat's.
 *
 * Bytes that are no UTF-8 come out as they are in text and patterns; JSON shows them as `{"base64": "…"}`, so
 * that nothing is lost and a text can be told from bytes.
 */

import { UsageError } from './command.ts'

/** What is printed of a record; keys and values are the bytes as written. */
export interface PrintableRecord {
  topic: string
  partition: number
  offset: number
  /** Milliseconds since the epoch. */
  timestamp: number
  key: Uint8Array | null
  value: Uint8Array | null
  headers: readonly { key: string; value: Uint8Array | null }[]
}

export type RecordPrinter = (record: PrintableRecord) => Uint8Array

/** @throws UsageError for an unknown `%` letter. */
export function recordPrinter(format: string): RecordPrinter {
  if (format === 'json') return (record) => Buffer.from(`${JSON.stringify(jsonRecord(record))}\n`)
  return patternPrinter(format === 'text' ? '%v\\n' : format)
}

export function jsonRecord(record: PrintableRecord): Record<string, unknown> {
  return {
    topic: record.topic,
    partition: record.partition,
    offset: record.offset,
    timestamp: record.timestamp,
    key: readable(record.key),
    value: readable(record.value),
    headers: jsonHeaders(record.headers),
  }
}

/** An object; pairs where a name comes more than once, or JSON would lose one. */
function jsonHeaders(headers: PrintableRecord['headers']): Record<string, unknown> | Array<[string, unknown]> {
  const pairs = headers.map(({ key, value }): [string, unknown] => [key, readable(value)])
  const byName = new Map(pairs)
  return byName.size === pairs.length ? Object.fromEntries(byName) : pairs
}

/** A producer may send any number for a time, and some send nanoseconds: not all are days of a calendar. */
export function timeText(timestampMs: number): string {
  const date = new Date(timestampMs)
  return Number.isNaN(date.getTime()) ? `${timestampMs} ms` : date.toISOString()
}

type Piece = (record: PrintableRecord) => Uint8Array

const EMPTY = new Uint8Array(0)

const fields: Record<string, Piece> = {
  k: (record) => record.key ?? EMPTY,
  v: (record) => record.value ?? EMPTY,
  s: (record) => record.value ?? EMPTY,
  t: (record) => Buffer.from(record.topic),
  p: (record) => Buffer.from(String(record.partition)),
  o: (record) => Buffer.from(String(record.offset)),
  T: (record) => Buffer.from(String(record.timestamp)),
  K: (record) => Buffer.from(String(record.key?.length ?? -1)),
  V: (record) => Buffer.from(String(record.value?.length ?? -1)),
  S: (record) => Buffer.from(String(record.value?.length ?? -1)),
  h: (record) =>
    Buffer.from(record.headers.map(({ key, value }) => `${key}=${Buffer.from(value ?? EMPTY).toString()}`).join(',')),
}

const escapes: Record<string, string> = { n: '\n', t: '\t', r: '\r', '0': '\0', '\\': '\\' }

function patternPrinter(pattern: string): RecordPrinter {
  const pieces: Piece[] = []
  let literal = ''
  const endLiteral = () => {
    const bytes = Buffer.from(literal)
    if (bytes.length > 0) pieces.push(() => bytes)
    literal = ''
  }
  for (let at = 0; at < pattern.length; at++) {
    const letter = pattern[at]!
    const next = pattern[at + 1]
    if (letter === '\\' && next !== undefined && next in escapes) {
      literal += escapes[next]
      at++
    } else if (letter === '%' && next === '%') {
      literal += '%'
      at++
    } else if (letter === '%') {
      const field = next === undefined ? undefined : fields[next]
      if (!field)
        throw new UsageError(`--format: '%${next ?? ''}' is not allowed; use %k %v %h %t %p %o %T %K %V or %%`)
      endLiteral()
      pieces.push(field)
      at++
    } else {
      literal += letter
    }
  }
  // A pattern that ends no line would run all records together.
  if (!/\\n|\\0|\n/.test(pattern)) literal += '\n'
  endLiteral()
  return (record) => Buffer.concat(pieces.map((piece) => piece(record)))
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

export function readable(bytes: Uint8Array | null): unknown {
  if (bytes === null) return null
  try {
    return utf8.decode(bytes)
  } catch {
    return { base64: Buffer.from(bytes).toString('base64') }
  }
}
