/**
 * Structured events of the relay, one line each, for people (text) or machines (JSON).
 *
 * An event has a short stable name and fields; the sentence is made from these, never the other way round.
 * Writing never throws and never blocks on purpose: a reader that went away (EPIPE) silences the logger.
 */

import type { Clock } from '../protocol/lib/clock.ts'

export type LogLevel = 'error' | 'warn' | 'info' | 'debug'

export type LogFields = Readonly<Record<string, unknown>>

export interface Logger {
  error(event: string, fields?: LogFields): void
  warn(event: string, fields?: LogFields): void
  info(event: string, fields?: LogFields): void
  debug(event: string, fields?: LogFields): void
  /** A logger that adds these fields to every event: one per connection, one per partition. */
  child(fields: LogFields): Logger
}

export interface LoggerOptions {
  format: 'text' | 'json'
  /** The least important level that is written. Default 'info'. */
  level?: LogLevel
  clock: Pick<Clock, 'now'>
  /** Receives whole lines, newline included. */
  write(line: string): void
}

const RANK: Record<LogLevel, number> = { error: 0, warn: 1, info: 2, debug: 3 }

export function createLogger(options: LoggerOptions): Logger {
  const rankMax = RANK[options.level ?? 'info']
  const line = options.format === 'json' ? jsonLine : textLine

  function loggerWith(common: LogFields): Logger {
    const at = (level: LogLevel) => (event: string, fields?: LogFields) => {
      if (RANK[level] > rankMax) return
      options.write(line(level, event, options.clock.now(), { ...common, ...fields }))
    }
    return {
      error: at('error'),
      warn: at('warn'),
      info: at('info'),
      debug: at('debug'),
      child: (fields) => loggerWith({ ...common, ...fields }),
    }
  }
  return loggerWith({})
}

/** Says nothing. */
export const silentLogger: Logger = {
  error() {},
  warn() {},
  info() {},
  debug() {},
  child: () => silentLogger,
}

function jsonLine(level: LogLevel, event: string, nowMs: number, fields: LogFields): string {
  const entry = { event, level, time: new Date(nowMs).toISOString(), ...plainFields(fields) }
  return `${JSON.stringify(entry)}\n`
}

function textLine(level: LogLevel, event: string, nowMs: number, fields: LogFields): string {
  const pairs = Object.entries(plainFields(fields)).map(([key, value]) => `${key}=${readable(value)}`)
  return `${new Date(nowMs).toISOString()} ${level.padEnd(5)} ${event}${pairs.length ? ` ${pairs.join(' ')}` : ''}\n`
}

/** Errors and big integers have no JSON form of their own; a field must never break the line. */
function plainFields(fields: LogFields): Record<string, unknown> {
  const plain: Record<string, unknown> = {}
  for (const [key, value] of Object.entries(fields)) {
    if (value instanceof Error) plain[key] = value.message
    else if (typeof value === 'bigint') plain[key] = value.toString()
    else if (value !== undefined) plain[key] = value
  }
  return plain
}

function readable(value: unknown): string {
  if (typeof value !== 'string') return JSON.stringify(value) ?? String(value)
  return /^[\w./:@-]+$/.test(value) ? value : JSON.stringify(value)
}
