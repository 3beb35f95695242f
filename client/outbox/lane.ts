/**
 * The way of one partition's writes: waiting rows, then sealed batches, then the relay.
 *
 *     waiting --seal--> sealed (idle) --send--> in flight --answer--> gone
 *        ^                 |  ^                     |
 *        +---- restamp ----+  +---- try again ------+
 *
 * Invariants: batches are sent in the order in which they were sealed; after any failure nothing more is sent until
 * every answer on the way has come (`isDraining`); two stamps (producer id, epoch) are never in flight together; a lane
 * whose producer the relay has no state for has one batch in flight, because such a relay takes any first sequence and
 * would let a later batch overtake a lost one; what waits behind a transaction is not sealed before that has ended.
 */
import type { ErrorInfo } from '../errors.ts'
import type { ProducerIdentity, SealedBatch } from '../replica/store-outbox.ts'
import type { LedgerRow } from './ledger.ts'

/** Kafka's relays remember as many batches of a producer; more in flight could not be recognised on a repeat. */
export const IN_FLIGHT_MAX = 5

export interface LaneBatch {
  readonly sealed: SealedBatch
  readonly rows: readonly LedgerRow[]
  isInFlight: boolean
  /** Sent at some time without an answer that rules out that it is in the log. */
  mayHaveLanded: boolean
  /** The relay's state shows that it is in the log; sent again only to learn the offset. */
  hasLanded: boolean
  doubts: number
  /** An answer that needs the lane to be drained before it is acted on. */
  refusal: Refusal | undefined
}

export interface Refusal {
  kind: 'refused' | 'refused-record' | 'unknown'
  error: ErrorInfo
}

export class Lane {
  readonly topic: string
  readonly topicId: string
  readonly partition: number
  waiting: LedgerRow[] = []
  sealed: LaneBatch[] = []
  identity: ProducerIdentity | undefined
  /** unknown: ask the relay first. fresh: it has no state for the stamp. known: it has. */
  standing: 'unknown' | 'fresh' | 'known' = 'unknown'
  isDraining = false
  /** The relay does not let us ask what has landed. */
  isBlind = false
  /** Sealing, asking or restamping is under way. */
  isBusy = false
  /** Consecutive failures, for the back-off; the next attempt waits until `retryAt` (monotonic). */
  failures = 0
  retryAt = 0
  /** How often in a row the relay quarrelled with our stamp. */
  quarrels = 0

  constructor(topic: string, topicId: string, partition: number) {
    this.topic = topic
    this.topicId = topicId
    this.partition = partition
  }

  get inFlight(): number {
    let count = 0
    for (const batch of this.sealed) if (batch.isInFlight) count++
    return count
  }

  get isEmpty(): boolean {
    return this.waiting.length === 0 && this.sealed.length === 0
  }

  get waitingBytes(): number {
    return this.waiting.reduce((sum, row) => sum + row.sizeBytes, 0)
  }

  /** The relay must be asked about our producer before anything is sealed or sent. */
  get mustAsk(): boolean {
    return this.standing === 'unknown' && !this.isBusy && this.inFlight === 0 && !this.isEmpty && !this.refusedBatch
  }

  get canSeal(): boolean {
    return (
      this.standing !== 'unknown' &&
      !this.isBusy &&
      !this.isDraining &&
      this.waiting.length > 0 &&
      !this.waiting[0]!.transaction &&
      this.sealed.length < IN_FLIGHT_MAX
    )
  }

  /** The waiting rows up to a transaction. */
  get waitingAlone(): LedgerRow[] {
    const end = this.waiting.findIndex(({ transaction }) => transaction)
    return end < 0 ? this.waiting : this.waiting.slice(0, end)
  }

  /** The rows of the transaction that this lane has come to, once all before it has landed. */
  get transactionRows(): LedgerRow[] {
    const first = this.waiting[0]
    if (!first?.transaction || this.sealed.length > 0 || this.isBusy) return []
    const end = this.waiting.findIndex(({ id }) => id !== first.id)
    return this.waiting.slice(0, end < 0 ? undefined : end)
  }

  get refusedBatch(): LaneBatch | undefined {
    return this.sealed.find(({ refusal }) => refusal !== undefined)
  }

  /** The next batch that may go out now, in order; undefined while something must come first. */
  nextToSend(): LaneBatch | undefined {
    if (this.standing === 'unknown' || this.isDraining) return undefined
    const next = this.sealed.find(({ isInFlight }) => !isInFlight)
    if (!next || next.refusal) return undefined
    const ahead = this.sealed.find(({ isInFlight }) => isInFlight)
    if (!ahead) return next
    if (this.standing === 'fresh' || this.inFlight >= IN_FLIGHT_MAX) return undefined
    const sameStamp =
      ahead.sealed.producerId === next.sealed.producerId && ahead.sealed.producerEpoch === next.sealed.producerEpoch
    return sameStamp ? next : undefined
  }

  /** Once everything on the way has been answered, sending may go on. */
  endDraining(): void {
    if (this.isDraining && this.inFlight === 0 && !this.refusedBatch) this.isDraining = false
  }

  /** The connection is gone: what was on the way may or may not have landed. */
  interrupt(): void {
    this.standing = 'unknown'
    this.isDraining = false
  }

  remove(batch: LaneBatch): void {
    const index = this.sealed.indexOf(batch)
    if (index >= 0) this.sealed.splice(index, 1)
  }
}

export function laneBatch(sealed: SealedBatch, rows: readonly LedgerRow[], mayHaveLanded: boolean): LaneBatch {
  return { sealed, rows, isInFlight: false, mayHaveLanded, hasLanded: false, doubts: 0, refusal: undefined }
}
