/** Reads `--from`: where in each partition to begin. */

import { UsageError } from './command.ts'

export type StartPosition = 'beginning' | 'end' | { offset: number } | { timestamp: number } | { last: number }

/** @throws UsageError naming the value and the allowed forms. */
export function parseStartPosition(raw: string): StartPosition {
  if (raw === 'beginning' || raw === 'end') return raw
  const [, kind, argument = ''] = /^(offset|time|last):(.+)$/.exec(raw) ?? []
  if (kind === 'time') return { timestamp: parseTime(raw, argument) }
  const count = /^\d+$/.test(argument) ? Number(argument) : Number.NaN
  if (!Number.isSafeInteger(count)) throw refused(raw)
  return kind === 'offset' ? { offset: count } : { last: count }
}

function parseTime(raw: string, argument: string): number {
  const timeMs = /^\d+$/.test(argument) ? Number(argument) : Date.parse(argument)
  if (!Number.isSafeInteger(timeMs)) throw refused(raw)
  return timeMs
}

function refused(raw: string): UsageError {
  return new UsageError(
    `--from: '${raw}' is not allowed; use beginning, end, offset:N, time:ISO, time:MS or last:N (such as last:10)`,
  )
}
