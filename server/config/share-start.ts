/** Where a share group begins in a partition (share.auto.offset.reset): earliest, latest, or some time ago. */
export type ShareStart = 'earliest' | 'latest' | { agoMs: number }

const UNITS: ReadonlyArray<readonly [pattern: string, ms: number]> = [
  ['(\\d+)D', 86_400_000],
  ['(\\d+)H', 3_600_000],
  ['(\\d+)M', 60_000],
  ['(\\d+(?:\\.\\d{1,9})?)S', 1000],
]
const [DAYS, HOURS, MINUTES, SECONDS] = UNITS.map(([pattern]) => `(?:${pattern})?`)
/** ISO 8601 as far as the length of its parts is known: no months, no years. */
const DURATION = new RegExp(`^P(?!$)${DAYS}(?:T(?=\\d)${HOURS}${MINUTES}${SECONDS})?$`, 'i')
const PREFIX = 'by_duration:'

/** undefined when the text says none of them. */
export function shareStartIn(text: string): ShareStart | undefined {
  if (text === 'earliest' || text === 'latest') return text
  const found = text.startsWith(PREFIX) ? DURATION.exec(text.slice(PREFIX.length)) : null
  if (!found) return undefined
  let agoMs = 0
  for (const [index, [, ms]] of UNITS.entries()) agoMs += Number(found[index + 1] ?? 0) * ms
  agoMs = Math.round(agoMs)
  return Number.isSafeInteger(agoMs) ? { agoMs } : undefined
}
