/**
 * Idempotence: for each producer id that wrote here, its epoch and its last five batches with their offsets (KIP-98).
 *
 *  - One of the five again: the original offset, nothing is appended.
 *  - Surely written, but older than the five: DUPLICATE_SEQUENCE_NUMBER (written, offset no longer known).
 *  - Neither that nor the next in sequence: OUT_OF_ORDER_SEQUENCE_NUMBER. Old epoch: INVALID_PRODUCER_EPOCH.
 *  - An unknown id may begin with any sequence: its earlier state may have expired.
 *
 * The table runs ahead of the disk by what is queued, so whoever asks what is *written* must say up to where.
 */
import { KafkaError } from '../../protocol/errors.ts'
import type { BatchHeader } from '../../protocol/record-batch.ts'
import { lastSequenceOf, sequenceAfter } from '../../protocol/record-batch.ts'

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
  /** Oldest first, at most five. */
  batches: ProducerBatch[]
}

/** As DescribeProducers answers it (KIP-664). */
export interface ProducerDescription {
  producerId: number
  producerEpoch: number
  lastSequence: number
  lastTimestamp: number
}

export class ProducerTable {
  readonly #entries = new Map<number, ProducerEntry>()

  get size(): number {
    return this.#entries.size
  }

  entries(): IterableIterator<ProducerEntry> {
    return this.#entries.values()
  }

  restore(entry: ProducerEntry): void {
    this.#entries.set(entry.producerId, entry)
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
    if (header.producerEpoch > entry.epoch) {
      if (header.baseSequence === 0) return undefined
      throw outOfOrder(header, 0)
    }
    return checkSequence(header, entry)
  }

  /** Notes a batch that was appended at `header.baseOffset`. Replays after a crash may repeat what is known. */
  record(header: BatchHeader, nowMs: number): void {
    const known = this.#entries.get(header.producerId)
    const last = known?.batches.at(-1)
    if (last && header.baseOffset <= last.lastOffset) return
    const entry =
      known && known.epoch === header.producerEpoch
        ? known
        : {
            producerId: header.producerId,
            epoch: header.producerEpoch,
            lastAppendMs: nowMs,
            recordsSeen: 0,
            batches: [],
          }
    if (entry !== known) this.#entries.set(header.producerId, entry)
    entry.lastAppendMs = nowMs
    entry.recordsSeen += header.lastOffsetDelta + 1
    if (entry.batches.length === REMEMBERED_BATCHES) entry.batches.shift()
    entry.batches.push({
      firstSequence: header.baseSequence,
      lastSequence: lastSequenceOf(header),
      baseOffset: header.baseOffset,
      lastOffset: header.baseOffset + header.lastOffsetDelta,
      timestampMs: header.maxTimestamp,
    })
  }

  /** Forgets who wrote nothing since `beforeMs` and has nothing queued. Returns how many. */
  expire(beforeMs: number, highWatermark: number): number {
    let expired = 0
    for (const entry of this.#entries.values()) {
      if (entry.lastAppendMs >= beforeMs || (entry.batches.at(-1)?.lastOffset ?? -1) >= highWatermark) continue
      this.#entries.delete(entry.producerId)
      expired++
    }
    return expired
  }

  /** What each producer has written below `highWatermark`; nothing that a power cut could still take back. */
  describe(highWatermark: number): ProducerDescription[] {
    const described: ProducerDescription[] = []
    for (const entry of this.#entries.values()) {
      const durable = entry.batches.findLast((batch) => batch.lastOffset < highWatermark)
      const { producerId, epoch: producerEpoch } = entry
      if (durable) {
        const { lastSequence, timestampMs: lastTimestamp } = durable
        described.push({ producerId, producerEpoch, lastSequence, lastTimestamp })
        continue
      }
      // All five are queued: the one before the oldest is the last durable one, if there was one.
      const oldest = entry.batches[0]
      if (!oldest || entry.batches.length < REMEMBERED_BATCHES || oldest.firstSequence === 0) continue
      const lastSequence = sequenceAfter(oldest.firstSequence, SEQUENCE_SPAN - 1)
      described.push({ producerId, producerEpoch, lastSequence, lastTimestamp: oldest.timestampMs })
    }
    return described
  }
}

function checkSequence(header: BatchHeader, entry: ProducerEntry): ProducerBatch | undefined {
  const last = entry.batches.at(-1)
  if (!last) return undefined
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
