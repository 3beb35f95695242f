/**
 * A producer that the log does not know may begin with any sequence: what it wrote before may have been forgotten. But
 * not behind a batch of its own that was just refused. Clients send several at once, and one that was accepted after an
 * earlier one was refused (the disk was full, and then it was not) would put the earlier one out of order for ever.
 *
 * In memory only: after a restart connections are new, and clients begin with their first unacknowledged batch. Bounded:
 * the oldest is forgotten first.
 */
import { KafkaError } from '../../protocol/errors.ts'
import { type BatchHeader, hasProducer } from '../../protocol/record-batch.ts'
import type { ProducerTable } from './producer-state.ts'

const REFUSED_MAX = 1_000
const SEQUENCE_SPAN = 2_147_483_648

export class RefusedProducers {
  readonly #refused = new Map<number, { epoch: number; sequence: number }>()

  get isEmpty(): boolean {
    return this.#refused.size === 0
  }

  /** Whatever was wrong with the batch, or with the disk. */
  note(header: BatchHeader, known: ProducerTable): void {
    if (!hasProducer(header) || header.baseSequence < 0 || known.has(header.producerId)) return
    const { producerId, producerEpoch: epoch, baseSequence: sequence } = header
    const before = this.#refused.get(producerId)
    if (before?.epoch === epoch && isBehind(header, before.sequence)) return
    this.#refused.delete(producerId)
    this.#refused.set(producerId, { epoch, sequence })
    if (this.#refused.size > REFUSED_MAX) this.#refused.delete(this.#refused.keys().next().value!)
  }

  /** Throws OUT_OF_ORDER_SEQUENCE_NUMBER for a batch that overtakes. The producer is not known to the log. */
  check(header: BatchHeader): void {
    const refused = this.#refused.get(header.producerId)
    if (refused?.epoch !== header.producerEpoch || !isBehind(header, refused.sequence)) return
    throw new KafkaError(
      'OUT_OF_ORDER_SEQUENCE_NUMBER',
      `sequence ${header.baseSequence} of producer ${header.producerId} (epoch ${header.producerEpoch}) is out of order; ` +
        `${refused.sequence} was refused and has not come again`,
    )
  }

  forget(producerId: number): void {
    this.#refused.delete(producerId)
  }
}

function isBehind({ baseSequence }: BatchHeader, sequence: number): boolean {
  const ahead = (baseSequence - sequence + SEQUENCE_SPAN) % SEQUENCE_SPAN
  return ahead > 0 && ahead < SEQUENCE_SPAN / 2
}
