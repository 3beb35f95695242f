/**
 * Partitions come one after the other from the replica, the data's own time runs through all of them: arrivals are
 * put in its order before they enter the log. At the start it waits for a short silence, later only a moment.
 */
import type { Flight } from './flight.ts'
import type { FlightLog } from './flight-log.ts'

const SORT_EVERY_MS = 150
const QUIET_MS = 250
const START_MS_MAX = 2500

export interface ArrivalSorter {
  add(flight: Flight): void
  restart(): void
}

export function sortArrivals(log: FlightLog, until: AbortSignal): ArrivalSorter {
  let waiting: Flight[] = []
  let startedMs = performance.now()
  let lastMs = startedMs
  let starting = true
  const timer = setInterval(() => {
    const nowMs = performance.now()
    if (waiting.length === 0) return
    const isQuiet = nowMs - lastMs >= QUIET_MS || nowMs - startedMs >= START_MS_MAX
    if (starting && !isQuiet && waiting.length < log.capacity) return
    starting = false
    for (const flight of waiting.sort((a, b) => a.atMs - b.atMs)) log.add(flight)
    waiting = []
  }, SORT_EVERY_MS)
  until.addEventListener('abort', () => clearInterval(timer))
  return {
    add(flight) {
      lastMs = performance.now()
      waiting.push(flight)
    },
    restart() {
      waiting = []
      starting = true
      startedMs = performance.now()
    },
  }
}
