/**
 * Reads a configuration file: JSON, or the `key=value` lines of Kafka's `server.properties`.
 *
 * Pure: text in, entries out. Nested JSON objects are joined with dots, so that
 * `{"log": {"retention.ms": 1}}` and `{"log.retention.ms": 1}` say the same.
 */

import { ConfigError } from './definition.ts'

/** @throws ConfigError when the text is neither; the message says where it broke. */
export function parseConfigFile(path: string, content: string): Map<string, unknown> {
  const body = content.replace(/^\uFEFF/, '')
  return body.trimStart().startsWith('{') ? parseJson(path, body) : parseProperties(path, body)
}

function parseJson(path: string, body: string): Map<string, unknown> {
  let root: unknown
  try {
    root = JSON.parse(body)
  } catch (cause) {
    throw new ConfigError('config', path, 'valid JSON', (cause as Error).message)
  }
  const entries = new Map<string, unknown>()
  collect(root as Record<string, unknown>, '', entries)
  return entries
}

function collect(object: Record<string, unknown>, prefix: string, entries: Map<string, unknown>): void {
  for (const [key, value] of Object.entries(object)) {
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
      collect(value as Record<string, unknown>, `${prefix}${key}.`, entries)
    } else {
      entries.set(prefix + key, value)
    }
  }
}

/** Java's properties: `#` and `!` begin comments, `=`, `:` or a blank separate, a final backslash continues. */
function parseProperties(path: string, body: string): Map<string, unknown> {
  const entries = new Map<string, unknown>()
  const lines = body.replace(/\\\r?\n[ \t]*/g, '').split(/\r?\n/)
  for (const [index, line] of lines.entries()) {
    const trimmed = line.trim()
    if (trimmed === '' || trimmed.startsWith('#') || trimmed.startsWith('!')) continue
    const parts = /^([^\s=:]+)\s*[=:\s]\s*(.*)$/.exec(trimmed)
    if (!parts) throw new ConfigError('config', trimmed, 'lines of the form key=value', `${path}, line ${index + 1}`)
    entries.set(parts[1]!, parts[2]!)
  }
  return entries
}
