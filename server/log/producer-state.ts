/**
 * Idempotence: for each producer id that wrote here, its epoch and its last five batches with their offsets (KIP-98).
 *
 *  - One of the five again: the original offset, nothing is appended.
 *  - Surely written, but older than the five: DUPLICATE_SEQUENCE_NUMBER (written, offset no longer known).
 *  - Neither that nor the next in sequence: OUT_OF_ORDER_SEQUENCE_NUMBER. Old epoch: INVALID_PRODUCER_EPOCH.
 *  - An unknown id may begin with any sequence: its earlier state may have expired.
 *
 * And its transaction: it opens with the first transactional batch and ends with a marker (producer-transactions.ts).
 *
 * The table runs ahead of the disk by what is queued, so whoever asks what is *written* must say up to where.
 */
import { KafkaError } from '../../protocol/errors.ts'
import type { BatchHeader } from '../../protocol/record-batch.ts'
import { isTransactional, lastSequenceOf, sequenceAfter } from '../../protocol/record-batch.ts'
import type { TransactionMarker } from '../../protocol/transaction-marker.ts'
import { OpenTransactions } from './open-transactions.ts'
import { checkMarkerEpochs, checkTransactionOf, NO_COORDINATOR_EPOCH } from './producer-transactions.ts'

export const REMEMBERED_BATCHES = 5
const SEQUENCE_SPAN = 2_147_483_648

export interface ProducerBatch {
  firstSequence: number
  lastSequence: number
  baseOffset: number
  lastOffset: number
  timestampMs: number
}

export interface ProducerEntry {
  producerId: number
  epoch: number
  /** Wall clock at the last append, or at the recovery that replayed it. */
  lastAppendMs: number
  /** Records of this epoch since this table knows the producer. What lies further back may or may not be written. */
  recordsSeen: number
  /** The producer was known when this epoch began, so the first sequence in it is 0. */
  beginsAtZero: boolean
  /** Oldest first, at most five. */
  batches: ProducerBatch[]
  /** Of the last marker; -1 when there was none. */
  coordinatorEpoch: number
  /** Offset of the last marker; -1 when there was none. */
  markerOffset: number
  /** The transaction that no marker has ended yet. */
  transaction: { firstOffset: number; sinceMs: number } | undefined
}

/** A transaction that a marker ended: all of the producer's batches from the first offset to the marker's. */
export interface EndedTransaction {
  producerId: number
  firstOffset: number
  /** The marker's. */
  lastOffset: number
}

/** As DescribeProducers answers it (KIP-664). */
export interface ProducerDescription {
  producerId: number
  producerEpoch: number
  /** -1 when nothing of this epoch is known. */
  lastSequence: number
  lastTimestamp: number
  /** Of the coordinator that ended its last transaction here; -1 when there was none. */
  coordinatorEpoch: number
  /** First offset of its open transaction; -1 when there is none. */
  currentTransactionStartOffset: number
}

export class ProducerTable {
  readonly #entries = new Map<number, ProducerEntry>()
  transactions = new OpenTransactions()

  get size(): number {
    return this.#entries.size
  }

  has(producerId: number): boolean {
    return this.#entries.has(producerId)
  }

  entries(): IterableIterator<ProducerEntry> {
    return this.#entries.values()
  }

  /** Takes over what is known of some producers. No marker may be queued. */
  restore(entries: Iterable<ProducerEntry>): void {
    for (const entry of entries) this.#entries.set(entry.producerId, entry)
    const inTransaction = [...this.#entries.values()].filter((entry) => entry.transaction)
    inTransaction.sort((a, b) => a.transaction!.firstOffset - b.transaction!.firstOffset)
    this.transactions = new OpenTransactions()
    for (const entry of inTransaction) this.#open(entry, entry.transaction!)
  }

  #open(entry: ProducerEntry, transaction: { firstOffset: number; sinceMs: number }): void {
    entry.transaction = transaction
    this.transactions.begin({ producerId: entry.producerId, producerEpoch: entry.epoch, ...transaction })
  }

  /** The batch that this one repeats, or undefined when it is next in line. Throws KafkaError when it is neither. */
  check(header: BatchHeader): ProducerBatch | undefined {
    const entry = this.#entries.get(header.producerId)
    if (!entry) return undefined
    if (header.producerEpoch < entry.epoch) {
      throw new KafkaError(
        'INVALID_PRODUCER_EPOCH',
        `producer ${header.producerId} writes with epoch ${header.producerEpoch}; epoch ${entry.epoch} has taken over`,
      )
    }
    if (header.producerEpoch > entry.epoch && header.baseSequence !== 0) throw outOfOrder(header, 0)
    const repeated = header.producerEpoch > entry.epoch ? undefined : checkSequence(header, entry)
    if (!repeated) checkTransactionOf(header, entry)
    return repeated
  }

  /** Notes a batch that was appended at `header.baseOffset`. Replays after a crash may repeat what is known. */
  record(header: BatchHeader, nowMs: number): void {
    const known = this.#entries.get(header.producerId)
    const last = known?.batches.at(-1)
    if (last && header.baseOffset <= last.lastOffset) return
    const entry = this.#entryOf(header.producerId, header.producerEpoch, nowMs)
    entry.recordsSeen += header.lastOffsetDelta + 1
    if (entry.batches.length === REMEMBERED_BATCHES) entry.batches.shift()
    entry.batches.push({
      firstSequence: header.baseSequence,
      lastSequence: lastSequenceOf(header),
      baseOffset: header.baseOffset,
      lastOffset: header.baseOffset + header.lastOffsetDelta,
      timestampMs: header.maxTimestamp,
    })
    if (isTransactional(header) && !entry.transaction) {
      this.#open(entry, { firstOffset: header.baseOffset, sinceMs: nowMs })
    }
  }

  /** The entry as of this epoch: a new epoch begins its sequences anew. */
  #entryOf(producerId: number, epoch: number, nowMs: number): ProducerEntry {
    const known = this.#entries.get(producerId)
    if (known?.epoch === epoch) {
      known.lastAppendMs = nowMs
      return known
    }
    const { coordinatorEpoch = NO_COORDINATOR_EPOCH, markerOffset = -1, transaction } = known ?? {}
    const entry = {
      ...{ producerId, epoch, lastAppendMs: nowMs, recordsSeen: 0, beginsAtZero: known !== undefined, batches: [] },
      ...{ coordinatorEpoch, markerOffset, transaction },
    }
    this.#entries.set(producerId, entry)
    return entry
  }

  /** Throws KafkaError when a newer producer, or a newer coordinator, has spoken. */
  checkMarker(marker: TransactionMarker): void {
    checkMarkerEpochs(marker, this.#entries.get(marker.producerId))
  }

  /** The offset of the producer's last marker, if one more like it would change nothing. */
  endedAt({ producerId, producerEpoch, coordinatorEpoch }: TransactionMarker): number | undefined {
    const entry = this.#entries.get(producerId)
    if (!entry || entry.transaction || entry.markerOffset < 0) return undefined
    const isRepeated = entry.epoch === producerEpoch && entry.coordinatorEpoch === coordinatorEpoch
    return isRepeated ? entry.markerOffset : undefined
  }

  /** Notes a marker that was appended at `offset`. Returns the transaction that it ended, if one was open. */
  end(marker: TransactionMarker, offset: number, nowMs: number): EndedTransaction | undefined {
    const { producerId } = marker
    if (offset <= (this.#entries.get(producerId)?.markerOffset ?? -1)) return undefined
    const entry = this.#entryOf(producerId, marker.producerEpoch, nowMs)
    entry.coordinatorEpoch = marker.coordinatorEpoch
    entry.markerOffset = offset
    const { transaction } = entry
    if (!transaction) return undefined
    entry.transaction = undefined
    this.transactions.end(transaction.firstOffset, offset)
    return { producerId, firstOffset: transaction.firstOffset, lastOffset: offset }
  }

  /** Forgets who wrote nothing since `beforeMs`, has nothing queued and no open transaction. Returns how many. */
  expire(beforeMs: number, highWatermark: number): number {
    let expired = 0
    for (const entry of this.#entries.values()) {
      const lastOffset = Math.max(entry.batches.at(-1)?.lastOffset ?? -1, entry.markerOffset)
      if (entry.lastAppendMs >= beforeMs || entry.transaction || lastOffset >= highWatermark) continue
      this.#entries.delete(entry.producerId)
      expired++
    }
    return expired
  }

  /** What each producer has written below `highWatermark`; nothing that a power cut could still take back. */
  describe(highWatermark: number): ProducerDescription[] {
    return [...this.#entries.values()].flatMap((entry) => {
      const last = lastDurable(entry, highWatermark)
      if (!last) return []
      const { producerId, epoch: producerEpoch, coordinatorEpoch, transaction } = entry
      const isOpen = transaction && transaction.firstOffset < highWatermark
      const currentTransactionStartOffset = isOpen ? transaction.firstOffset : -1
      return { producerId, producerEpoch, ...last, coordinatorEpoch, currentTransactionStartOffset }
    })
  }
}

function lastDurable(entry: ProducerEntry, highWatermark: number) {
  const durable = entry.batches.findLast((batch) => batch.lastOffset < highWatermark)
  if (durable) return { lastSequence: durable.lastSequence, lastTimestamp: durable.timestampMs }
  const [oldest] = entry.batches
  if (!oldest) {
    // A marker raised the epoch, and nothing was written in it since.
    return entry.markerOffset < highWatermark ? { lastSequence: -1, lastTimestamp: entry.lastAppendMs } : undefined
  }
  // All five are queued: the one before the oldest is the last durable one, if there was one.
  if (entry.batches.length < REMEMBERED_BATCHES || oldest.firstSequence === 0) return undefined
  return { lastSequence: sequenceAfter(oldest.firstSequence, SEQUENCE_SPAN - 1), lastTimestamp: oldest.timestampMs }
}

function checkSequence(header: BatchHeader, entry: ProducerEntry): ProducerBatch | undefined {
  const last = entry.batches.at(-1)
  if (!last) {
    // The epoch is known from a marker alone.
    if (header.baseSequence === 0 || !entry.beginsAtZero) return undefined
    throw outOfOrder(header, 0)
  }
  const expected = sequenceAfter(last.lastSequence, 1)
  if (header.baseSequence === expected) return undefined
  const lastSequence = lastSequenceOf(header)
  const repeated = entry.batches.find(
    (batch) => batch.firstSequence === header.baseSequence && batch.lastSequence === lastSequence,
  )
  if (repeated) return repeated
  const oldestSequence = entry.batches[0]!.firstSequence
  const behindExpected = (expected - header.baseSequence + SEQUENCE_SPAN) % SEQUENCE_SPAN
  const behindOldest = (oldestSequence - header.baseSequence + SEQUENCE_SPAN) % SEQUENCE_SPAN
  const endsBeforeOldest = behindOldest >= header.lastOffsetDelta + 1 && behindOldest <= behindExpected
  if (endsBeforeOldest && behindExpected <= entry.recordsSeen) {
    throw new KafkaError(
      'DUPLICATE_SEQUENCE_NUMBER',
      `sequence ${header.baseSequence} of producer ${header.producerId} is written, but is older than the last ` +
        `${REMEMBERED_BATCHES} batches (from sequence ${oldestSequence}), whose offsets are remembered`,
    )
  }
  throw outOfOrder(header, expected)
}

function outOfOrder(header: BatchHeader, expected: number): KafkaError {
  return new KafkaError(
    'OUT_OF_ORDER_SEQUENCE_NUMBER',
    `sequence ${header.baseSequence} of producer ${header.producerId} (epoch ${header.producerEpoch}) is out of order; ` +
      `${expected} is next`,
  )
}
