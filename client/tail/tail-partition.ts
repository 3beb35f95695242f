/** Where a tail stands in one partition, and what has come of it that the application has not taken. */
import type { Gap } from '../record.ts'
import type { Aborted, WantedPartition } from './tail-wire.ts'

export interface TailFrame {
  partition: TailPartition
  records: Uint8Array
  aborted: Aborted[]
  fromOffset: number
  gap: Gap | undefined
}

export class TailPartition {
  readonly partition: number
  readonly #bufferBytesMax: number
  offset: number
  leaderEpoch = -1
  heldBytes = 0
  /** Released, and not told to the relay. */
  ungranted = 0
  gap: Gap | undefined
  /** That of frames which held nothing to give. */
  untold: Gap | undefined
  /** False between asking and the answer: what comes then belongs to the subscription before. */
  isActive = false
  /** For { last: N }: the end as it was when reading began. Until it is reached, records are gathered. */
  gatherUntil = -1

  constructor(partition: number, offset: number, bufferBytesMax: number) {
    this.partition = partition
    this.offset = offset
    this.#bufferBytesMax = bufferBytesMax
  }

  wanted(): WantedPartition {
    this.isActive = false
    this.ungranted = 0
    const { partition, offset, leaderEpoch } = this
    return { partition, offset, leaderEpoch, credit: Math.max(0, this.#bufferBytesMax - this.heldBytes) }
  }

  /** Goes on elsewhere; says what is missing if a record had been expected. */
  moveTo(to: number, reason: Gap['reason']): void {
    if (this.offset >= 0) this.gap = { partition: this.partition, from: this.offset, to, reason }
    this.offset = to
    this.leaderEpoch = -1
  }
}
