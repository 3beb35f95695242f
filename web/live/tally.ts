/**
 * Sums over the last WINDOW flights behind the playhead: busiest routes and airports, share of late ones.
 *
 * Sliding: each flight is added once and taken out once, so a frame costs what has moved, not the window.
 */
import type { FlightLog } from './flight-log.ts'

export const WINDOW = 8192
const LATE_MIN = 15

export interface Ranked {
  key: number
  count: number
  meanDelayMin: number
}

interface Sum {
  count: number
  delay: number
}

export class Tally {
  private readonly log: FlightLog
  private readonly routes = new Map<number, Sum>()
  private readonly airports = new Map<number, Sum>()
  private from = 0
  private to = 0
  private late = 0
  private delaySum = 0

  constructor(log: FlightLog) {
    this.log = log
  }

  get size(): number {
    return this.to - this.from
  }

  get lateShare(): number {
    return this.size === 0 ? 0 : this.late / this.size
  }

  get meanDelayMin(): number {
    return this.size === 0 ? 0 : this.delaySum / this.size
  }

  /** Makes the window end at `sequence`. */
  moveTo(sequence: number): void {
    const from = Math.max(this.log.first, sequence - WINDOW)
    if (sequence < this.to || from > this.to || this.from < this.log.first) this.restart(from)
    while (this.to < sequence) this.count(this.to++, 1)
    while (this.from < from) this.count(this.from++, -1)
  }

  topRoutes(limit: number): Ranked[] {
    return rank(this.routes, limit)
  }

  topAirports(limit: number): Ranked[] {
    return rank(this.airports, limit)
  }

  private restart(from: number): void {
    this.routes.clear()
    this.airports.clear()
    this.late = 0
    this.delaySum = 0
    this.from = from
    this.to = from
  }

  private count(sequence: number, sign: 1 | -1): void {
    const slot = this.log.slot(sequence)
    const origin = this.log.origins[slot] ?? 0
    const destination = this.log.destinations[slot] ?? 0
    const delay = this.log.delays[slot] ?? 0
    if (delay > LATE_MIN) this.late += sign
    this.delaySum += sign * delay
    change(this.routes, routeKey(origin, destination), sign, delay)
    change(this.airports, origin, sign, delay)
  }
}

export const routeKey = (origin: number, destination: number): number => origin * 65_536 + destination
export const routeEnds = (key: number): [number, number] => [Math.floor(key / 65_536), key % 65_536]

function change(sums: Map<number, Sum>, key: number, sign: 1 | -1, delay: number): void {
  const sum = sums.get(key)
  if (!sum) {
    sums.set(key, { count: 1, delay })
    return
  }
  sum.count += sign
  sum.delay += sign * delay
  if (sum.count <= 0) sums.delete(key)
}

function rank(sums: Map<number, Sum>, limit: number): Ranked[] {
  return [...sums]
    .map(([key, sum]) => ({ key, count: sum.count, meanDelayMin: sum.delay / sum.count }))
    .sort((a, b) => b.count - a.count || a.key - b.key)
    .slice(0, limit)
}
