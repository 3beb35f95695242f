/**
 * The last flights, in columns: about 20 bytes each, never more than `capacity`, oldest overwritten first.
 *
 * A flight is named by its sequence number, which only grows; `first <= n < end` are held.
 * Blocks of BLOCK flights carry sums so that a timeline of any width needs no pass over the flights.
 */
import type { Airports } from './airports.ts'
import { DELAY_CLASSES, delayClass, type Flight } from './flight.ts'

export const BLOCK = 128
const CLASSES = DELAY_CLASSES.length

export class FlightLog {
  readonly capacity: number
  readonly origins: Uint16Array
  readonly destinations: Uint16Array
  readonly delays: Int16Array
  readonly distances: Uint16Array
  readonly times: Float64Array
  private readonly blockClasses: Uint16Array
  private readonly airports: Airports
  private endSequence = 0
  /** Flights that could not be drawn: an airport that the map does not have. */
  unplaced = 0

  constructor(airports: Airports, capacity = 1 << 17) {
    if (capacity % BLOCK !== 0) throw new Error(`capacity ${capacity} is not a multiple of ${BLOCK}`)
    this.airports = airports
    this.capacity = capacity
    this.origins = new Uint16Array(capacity)
    this.destinations = new Uint16Array(capacity)
    this.delays = new Int16Array(capacity)
    this.distances = new Uint16Array(capacity)
    this.times = new Float64Array(capacity)
    this.blockClasses = new Uint16Array((capacity / BLOCK) * CLASSES)
  }

  get end(): number {
    return this.endSequence
  }

  /** Whole blocks only: a block that is being overwritten has lost its sums. */
  get first(): number {
    const whole = Math.ceil((this.endSequence - this.capacity) / BLOCK) * BLOCK
    return Math.max(0, whole)
  }

  slot(sequence: number): number {
    return sequence % this.capacity
  }

  add(flight: Flight): boolean {
    const origin = this.airports.indexOf(flight.origin)
    const destination = this.airports.indexOf(flight.destination)
    if (origin < 0 || destination < 0) {
      this.unplaced += 1
      return false
    }
    const slot = this.slot(this.endSequence)
    this.origins[slot] = origin
    this.destinations[slot] = destination
    this.delays[slot] = flight.delayMin
    this.distances[slot] = flight.distanceMiles
    this.times[slot] = flight.atMs
    this.addToBlock(slot, delayClass(flight.delayMin))
    this.endSequence += 1
    return true
  }

  clear(): void {
    this.endSequence = 0
    this.unplaced = 0
  }

  timeAt(sequence: number): number {
    return this.times[this.slot(Math.min(Math.max(sequence, this.first), this.end - 1))] ?? 0
  }

  /** Flights per delay class among blocks that begin within [from, to), added into `into`. */
  countClasses(from: number, to: number, into: Float64Array): void {
    const start = Math.max(this.first, Math.floor(from / BLOCK) * BLOCK)
    for (let sequence = start; sequence < Math.min(to, this.end); sequence += BLOCK) {
      const at = (this.slot(sequence) / BLOCK) * CLASSES
      for (let i = 0; i < CLASSES; i++) into[i] = (into[i] ?? 0) + (this.blockClasses[at + i] ?? 0)
    }
  }

  private addToBlock(slot: number, delay: number): void {
    const at = Math.floor(slot / BLOCK) * CLASSES
    if (slot % BLOCK === 0) this.blockClasses.fill(0, at, at + CLASSES)
    this.blockClasses[at + delay] = (this.blockClasses[at + delay] ?? 0) + 1
  }
}
