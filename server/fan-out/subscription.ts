/**
 * Where one peer stands in one partition. A subscription is in one place at a time:
 *
 *   new      asked for, but its answer is not out yet; nothing may overtake that
 *   tail     position = what the fan-out has published to its tail; the next frame goes to it
 *   ahead    position > that: it waits until as much has been decided, and published
 *   behind   something between its position and the end must be read from the log; nothing is queued for it
 *   reading  the catch-up reader fetches its next frame
 *   ended    nothing more will be sent
 *
 * A peer that is out of credit, or whose connection is congested, costs nothing: it stays `behind` until it grants or
 * drains. The log is its buffer.
 */
import type { Peer } from '../peer.ts'
import type { KeyFilter } from './key-filter.ts'
import type { PartitionFanOut } from './partition-fan-out.ts'

export type SubscriptionPlace = 'new' | 'tail' | 'ahead' | 'behind' | 'reading' | 'ended'

export const CATCH_UP_BYTES_MIN = 64 * 1024

export interface SubscriptionStart {
  position: number
  /** Of what the peer holds before it. */
  leaderEpoch: number
  credit: number
  isCommitted: boolean
  filter: KeyFilter | undefined
}

export class Subscription {
  readonly peer: Peer
  readonly fanOut: PartitionFanOut
  /** It gets nothing that a transaction holds undecided. */
  readonly isCommitted: boolean
  /** The next offset to deliver. */
  position: number
  /** Bytes that may still be sent; below 0 after a frame larger than what was left. */
  credit: number
  place: SubscriptionPlace = 'new'
  /** Index in its tail while there. */
  tailIndex = -1
  /** What the next catch-up frame may hold; grows while the peer keeps up, so that no message takes a slow line long. */
  frameBytesMax = CATCH_UP_BYTES_MIN
  /** When the last catch-up frame was sent, in monotonic milliseconds. */
  caughtUpAt = Number.NEGATIVE_INFINITY
  /** In the queue of the reader that serves it. */
  isQueued = false
  /** It gets batches with some keys only; undefined: all. */
  readonly filter: KeyFilter | undefined
  /** With a filter: what its peer knows of. From there to `position` nothing matches. */
  told: number
  /** With a filter: leader epoch of the batch before `position`. */
  scannedEpoch: number

  constructor(peer: Peer, fanOut: PartitionFanOut, start: SubscriptionStart) {
    this.peer = peer
    this.fanOut = fanOut
    this.position = start.position
    this.credit = start.credit
    this.isCommitted = start.isCommitted
    this.filter = start.filter
    this.told = start.position
    this.scannedEpoch = start.leaderEpoch
  }
}

/** Above this, a connection is congested and gets nothing more until it has drained. */
export const UNSENT_BYTES_MAX = 1024 * 1024

export function canTake(subscription: Subscription): boolean {
  return subscription.credit > 0 && subscription.peer.unsentBytes <= UNSENT_BYTES_MAX
}
