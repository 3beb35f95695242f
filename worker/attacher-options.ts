/** What seeking a host needs, and how long it waits for what. */
import type { Clock } from '../protocol/lib/clock.ts'
import type { Random } from '../protocol/lib/random.ts'
import type { LivenessTimes } from './attachment.ts'
import type { CoreConfig, EventsNote } from './contract.ts'
import type { Locks } from './locks.ts'
import type { Spawner } from './spawn.ts'

export interface AttacherOptions {
  config: CoreConfig
  spawner: Spawner
  clock: Clock
  random: Random
  locks: Locks | undefined
  openChannel(name: string): BroadcastChannel
  onEvents(note: EventsNote): void
  liveness?: LivenessTimes
}

export interface SeekState {
  /** Attempts in a row in which the own seat said nothing at all. */
  deafSeats: number
  /** Since when no host was reached, by the monotonic clock. */
  since: number
}

export const seekTimes = {
  /** How long each attempt lasts. The first ones are short: a worker that was just dying may have got the join. */
  attemptMs: [500, 1_000, 2_000],
  /** So many attempts without a word from the own seat, and it is replaced by one of the next epoch. */
  deafSeatsMax: 3,
  /** What a worker may take to start before it counts as dead. */
  seatStartMsMax: 5_000,
  /** The lock is held, but by nobody who answers: after this its holder is deposed. */
  unreachableMs: 10_000,
  afterRefusalMs: 3_000,
}
