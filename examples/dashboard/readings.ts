/** What the topic holds: who measured, and how much. */
export const TOPIC = 'readings'
export const PARTITIONS = 4
export const SITES = ['north', 'east', 'south', 'west'] as const
/** How far back the dashboard looks. */
export const WINDOW_MS = 60_000

export interface Reading {
  site: (typeof SITES)[number]
  kilowatts: number
}
