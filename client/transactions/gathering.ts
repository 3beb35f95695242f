/**
 * What is sent inside `ottla.transaction`, until it is stored: batches for each topic and partition, and where in them each
 * record lies.
 */
import type { Clock } from '../../protocol/lib/clock.ts'
import { BATCH_HEADER_BYTES } from '../../protocol/record-batch.ts'
import { encodeBatch, recordSizeBound } from '../../protocol/records.ts'
import type { EnqueuedTransaction } from '../core.ts'
import { encodeMessage, type WritableTopic } from '../producer/encode-message.ts'
import type { OutgoingRecord } from '../producer/send-buffer.ts'
import type { OutgoingMessage } from '../record.ts'
import { relayError } from '../relay-errors.ts'
import { string } from '../serde.ts'
import { transactionError } from './errors.ts'

/** What a transaction may hold: it is sent within one timeout, and readers wait for its end. */
export const TRANSACTION_BYTES_MAX = 8 * 1024 * 1024
/** As of other writes: rows are kept small. */
const BATCH_BYTES_MAX = 192 * 1024

export interface SendingTransaction {
  /**
   * Adds a record. By a topic's name, keys are strings, and values strings or bytes. Throws INVALID_VALUE,
   * INVALID_ARGUMENT, TOO_LARGE beyond 8 MiB in all, INVALID_STATE once the callback has ended.
   */
  send(topic: string, message: OutgoingMessage<string, string | Uint8Array>): void
  send<K, V>(topic: WritableTopic<K, V>, message: OutgoingMessage<K, V>): void
}

interface GatheredBatch {
  topic: string
  partition: number | null
  records: OutgoingRecord[]
  /** Of each record: the how-many-eth that was sent. */
  sent: number[]
  sizeBytes: number
}

export class Gathering implements SendingTransaction {
  readonly #clock: Clock
  readonly #batches: GatheredBatch[] = []
  /** The last of each topic and partition. */
  readonly #open = new Map<string, GatheredBatch>()
  #sent = 0
  #sizeBytes = 0
  #isOver = false

  constructor(clock: Clock) {
    this.#clock = clock
  }

  send<K, V>(topic: WritableTopic<K, V> | string, message: OutgoingMessage<K, V>): void {
    if (this.#isOver) throw transactionError('INVALID_STATE', { message: 'the callback of this transaction has ended' })
    const target = (typeof topic === 'string' ? byName(topic) : topic) as WritableTopic<K, V>
    const record = encodeMessage(target, message, this.#clock)
    const sizeBytes = recordSizeBound(record)
    if (this.#sizeBytes + sizeBytes > TRANSACTION_BYTES_MAX) {
      throw relayError('TOO_LARGE', {
        message: `the transaction would hold more than ${TRANSACTION_BYTES_MAX} bytes`,
        hint: 'use a transactional producer, or several transactions',
      })
    }
    const batch = this.#batchFor(target.name, record.partition, sizeBytes)
    batch.records.push(record)
    batch.sent.push(this.#sent++)
    batch.sizeBytes += sizeBytes
    this.#sizeBytes += sizeBytes
  }

  end(): void {
    this.#isOver = true
  }

  get topics(): Set<string> {
    return new Set(this.#batches.map(({ topic }) => topic))
  }

  writes(): EnqueuedTransaction['writes'] {
    return this.#batches.map(({ topic, partition, records }) => ({ topic, partition, batch: encodeBatch(records) }))
  }

  /** From the order of the batches to that of sending. */
  inOrderOfSending<T>(inBatches: readonly T[]): T[] {
    const ordered = new Array<T>(this.#sent)
    this.#batches
      .flatMap(({ sent }) => sent)
      .forEach((position, index) => {
        ordered[position] = inBatches[index]!
      })
    return ordered
  }

  #batchFor(topic: string, partition: number | null, sizeBytes: number): GatheredBatch {
    const key = `${partition ?? ''}/${topic}`
    const open = this.#open.get(key)
    if (open && open.sizeBytes + sizeBytes <= BATCH_BYTES_MAX) return open
    const batch: GatheredBatch = { topic, partition, records: [], sent: [], sizeBytes: BATCH_HEADER_BYTES }
    this.#batches.push(batch)
    this.#open.set(key, batch)
    return batch
  }
}

const encoder = /* @__PURE__ */ new TextEncoder()
const textOrBytes = {
  encode: (value: string | Uint8Array) => (typeof value === 'string' ? encoder.encode(value) : value),
}

export const byName = (name: string): WritableTopic<string, string | Uint8Array> => ({
  ...{ name, key: string, value: textOrBytes },
})
