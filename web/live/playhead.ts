/**
 * Which flights are due now. Live, it follows the log's end; replaying, it walks at a chosen pace.
 *
 * Records arrive in bursts (a frame may hold thousands), so live play spreads what waits over SMOOTHING_MS
 * and skips what lies further back than LIVE_WINDOW: a catch-up is no film. Pure but for its own position.
 */
import type { FlightLog } from './flight-log.ts'

const SMOOTHING_MS = 700
const LIVE_WINDOW = 20_000

export type PlayMode = 'live' | 'replay' | 'paused'

export interface Due {
  from: number
  to: number
  /** True when the playhead jumped: what was on the picture no longer belongs to it. */
  jumped: boolean
}

export class Playhead {
  mode: PlayMode = 'live'
  flightsPerSecond = 400
  private position = 0
  private jumped = true
  private readonly log: FlightLog

  constructor(log: FlightLog) {
    this.log = log
  }

  get sequence(): number {
    return Math.floor(this.position)
  }

  seek(sequence: number): void {
    this.position = Math.min(Math.max(sequence, this.log.first), this.log.end)
    this.jumped = true
  }

  goLive(): void {
    this.mode = 'live'
  }

  /** Moves on by `elapsedMs` and says which flights began meanwhile. */
  advance(elapsedMs: number): Due {
    const start = this.clampedStart()
    const end = this.log.end
    this.position = Math.min(end, start + this.step(elapsedMs, end - start))
    if (this.mode === 'replay' && this.position >= end) this.mode = 'live'
    const due = { from: Math.floor(start), to: Math.floor(this.position), jumped: this.jumped }
    this.jumped = false
    return due
  }

  private step(elapsedMs: number, waiting: number): number {
    if (this.mode === 'paused') return 0
    if (this.mode === 'replay') return (elapsedMs / 1000) * this.flightsPerSecond
    // An exponential chase never arrives; a whole flight a frame at least.
    return Math.min(waiting, Math.max(1, waiting * (1 - Math.exp(-elapsedMs / SMOOTHING_MS))))
  }

  private clampedStart(): number {
    const oldest = this.mode === 'live' ? Math.max(this.log.first, this.log.end - LIVE_WINDOW) : this.log.first
    // A log that was cleared ends before the playhead.
    if (this.position >= oldest && this.position <= this.log.end) return this.position
    this.jumped = true
    return Math.min(oldest, this.log.end)
  }
}
