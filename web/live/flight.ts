/**
 * What the picture needs of a record: two airports, a delay, a distance and a time.
 *
 * Records come from outside, so every field is checked; a record that is no flight is counted, not drawn.
 */
export interface Flight {
  origin: string
  destination: string
  /** Minutes late; negative is early. */
  delayMin: number
  distanceMiles: number
  /** The data's own time (ms, read as UTC), or the record's timestamp when it has none. */
  atMs: number
}

/** From on time to very late; each has a colour of its own (--delay-0 …) and a name in the legend. */
export const DELAY_CLASSES = [
  { upToMin: 0, name: 'on time' },
  { upToMin: 15, name: 'to 15 min late' },
  { upToMin: 60, name: 'to 1 h late' },
  { upToMin: Number.POSITIVE_INFINITY, name: 'over 1 h late' },
] as const

export function delayClass(delayMin: number): number {
  return DELAY_CLASSES.findIndex((each) => delayMin <= each.upToMin)
}

export function readFlight(value: unknown, timestampMs: number): Flight | null {
  if (typeof value !== 'object' || value === null) return null
  const fields = value as Record<string, unknown>
  const { origin, destination } = fields
  if (typeof origin !== 'string' || typeof destination !== 'string') return null
  return {
    origin,
    destination,
    delayMin: numberOr(fields.delay, 0),
    distanceMiles: numberOr(fields.distance, 0),
    atMs: readTime(fields.date ?? fields.time) ?? timestampMs,
  }
}

// "2001/01/31 06:05", ISO dates, or a number of milliseconds.
function readTime(value: unknown): number | null {
  if (typeof value === 'number' && value > 1e9) return value
  if (typeof value !== 'string') return null
  const match = /^(\d{4})\D(\d\d)\D(\d\d)(?:\D(\d\d):(\d\d)(?::(\d\d))?)?/.exec(value)
  if (!match) return null
  const [, year, month, day, hour = '0', minute = '0', second = '0'] = match
  return Date.UTC(Number(year), Number(month) - 1, Number(day), Number(hour), Number(minute), Number(second))
}

function numberOr(value: unknown, otherwise: number): number {
  return typeof value === 'number' && Number.isFinite(value) ? value : otherwise
}
