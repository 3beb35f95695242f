/** Numbers, sizes and times as people read them. Pure; the locale is the browser's. */
const integer = new Intl.NumberFormat()
const oneDigit = new Intl.NumberFormat(undefined, { maximumFractionDigits: 1 })
const percent = new Intl.NumberFormat(undefined, { style: 'percent', maximumFractionDigits: 0 })
const clockTime = new Intl.DateTimeFormat(undefined, {
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
  hourCycle: 'h23',
})
const dayAndTime = new Intl.DateTimeFormat(undefined, {
  year: 'numeric',
  month: 'short',
  day: '2-digit',
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
  hourCycle: 'h23',
})
const minute = new Intl.DateTimeFormat(undefined, {
  weekday: 'short',
  month: 'short',
  day: 'numeric',
  hour: '2-digit',
  minute: '2-digit',
  hourCycle: 'h23',
})

export const count = (value: number): string => integer.format(value)
export const share = (value: number): string => percent.format(value)

/** 0 -> "0", 9.94 -> "9.9", 12_345 -> "12,345". */
export const rate = (perSecond: number): string =>
  perSecond < 10 ? oneDigit.format(perSecond) : integer.format(Math.round(perSecond))

const SIZE_UNITS = ['B', 'kB', 'MB', 'GB', 'TB'] as const

/** Decimal units, as disks and browsers' quotas are told: 1,500 -> "1.5 kB". */
export function bytes(sizeBytes: number): string {
  let value = sizeBytes
  let unit = 0
  while (value >= 1000 && unit < SIZE_UNITS.length - 1) {
    value /= 1000
    unit += 1
  }
  return `${unit === 0 ? integer.format(value) : oneDigit.format(value)} ${SIZE_UNITS[unit]}`
}

/** A span of time in its largest fitting unit: "840 ms", "12 s", "3 min", "2 h", "5 d". */
export function span(ms: number): string {
  const positive = Math.max(0, ms)
  if (positive < 950) return `${Math.round(positive)} ms`
  if (positive < 90_000) return `${Math.round(positive / 1000)} s`
  if (positive < 90 * 60_000) return `${Math.round(positive / 60_000)} min`
  if (positive < 36 * 3_600_000) return `${Math.round(positive / 3_600_000)} h`
  return `${integer.format(Math.round(positive / 86_400_000))} d`
}

/** How long ago, with "just now" below two seconds: a running stopwatch is noise. */
export const ago = (ms: number): string => (ms < 2000 ? 'just now' : `${span(ms)} ago`)

export const time = (wallMs: number): string => clockTime.format(wallMs)
export const dateTime = (wallMs: number): string => dayAndTime.format(wallMs)
export const dayAndMinute = (wallMs: number): string => minute.format(wallMs)
/** For tooltips: local time is shown, UTC is a hover away. */
export const utc = (wallMs: number): string =>
  `${new Date(wallMs).toISOString().replace('T', ' ').replace('Z', '')} UTC`

/** "1 record", "2 records". */
export const plural = (n: number, one: string, many = `${one}s`): string =>
  `${integer.format(n)} ${n === 1 ? one : many}`

/** Messages and hints as whole sentences: errors are written small and without a full stop, so that they can be joined. */
export function sentences(...parts: string[]): string {
  return parts
    .filter((part) => part !== '')
    .map((part) => `${part[0]!.toUpperCase()}${part.slice(1)}${/[.!?…]$/.test(part) ? '' : '.'}`)
    .join(' ')
}
