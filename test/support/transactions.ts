/**
 * Interleaved transactions on a log, with an account of what each offset holds and how it was decided. The readers under
 * test are compared with the account alone.
 */
import type { Random } from '../../protocol/lib/random.ts'
import { randomBelow } from '../../protocol/lib/random.ts'
import type { TransactionOutcome } from '../../protocol/transaction-marker.ts'
import type { PartitionLog } from '../../server/log/partition-log.ts'
import { batchOf } from './batches.ts'

export interface Placed {
  offset: number
  value: string
}

interface Transaction {
  outcome: TransactionOutcome | 'open'
  firstOffset: number
}

interface AccountedRecord extends Placed {
  /** undefined: written outside of transactions. */
  transaction: Transaction | undefined
}

interface Writer {
  id: number
  epoch: number
  sequence: number
  transaction: Transaction | undefined
}

export class InterleavedTransactions {
  readonly #log: PartitionLog
  readonly #random: Random
  readonly #writers: Writer[]
  readonly #records: AccountedRecord[] = []
  #serial = 0
  #written: Promise<void> = Promise.resolve()
  markers = 0
  aborted = 0

  constructor(log: PartitionLog, random: Random, writers = 5) {
    this.#log = log
    this.#random = random
    this.#writers = Array.from({ length: writers }, (_, index) => ({
      ...{ id: 100 + index, epoch: 0, sequence: 0, transaction: undefined },
    }))
  }

  /** One batch or one marker, waiting for the disk now and then. */
  async step(): Promise<void> {
    this.#written = this.#random.next() < 0.15 ? this.#plain() : this.#transactional()
    if (this.#random.next() < 0.5) await this.#written
  }

  /** Resolves when all of it is on disk. */
  written(): Promise<void> {
    return this.#written
  }

  /** Ends every open transaction. */
  async settle(): Promise<void> {
    for (const writer of this.#writers) if (writer.transaction) await this.#end(writer)
  }

  #plain(): Promise<void> {
    const values = this.#values()
    return this.#append(batchOf(values), values, undefined)
  }

  #transactional(): Promise<void> {
    const writer = this.#writers[randomBelow(this.#random, this.#writers.length)]!
    if (writer.transaction && this.#random.next() < 0.3) return this.#end(writer)
    const values = this.#values()
    const { id, epoch, sequence } = writer
    const batch = batchOf(values, { producer: { id, epoch, sequence, isTransactional: true } })
    writer.sequence += values.length
    writer.transaction ??= { outcome: 'open', firstOffset: this.#log.endOffset }
    return this.#append(batch, values, writer.transaction)
  }

  #end(writer: Writer): Promise<void> {
    const outcome = this.#random.next() < 0.5 ? 'commit' : 'abort'
    if (this.#random.next() < 0.5) {
      writer.epoch++
      writer.sequence = 0
    }
    const { id: producerId, epoch: producerEpoch } = writer
    const { durable } = this.#log.appendMarker({ producerId, producerEpoch, coordinatorEpoch: 0, outcome })
    writer.transaction!.outcome = outcome
    writer.transaction = undefined
    this.markers++
    if (outcome === 'abort') this.aborted++
    return durable
  }

  #values(): string[] {
    const size = 1 + randomBelow(this.#random, 80)
    return Array.from({ length: 1 + randomBelow(this.#random, 3) }, () => `v${this.#serial++}`.padEnd(size, '.'))
  }

  #append(batch: Uint8Array, values: readonly string[], transaction: Transaction | undefined): Promise<void> {
    const { baseOffset, durable } = this.#log.append(batch)
    for (const [index, value] of values.entries()) {
      this.#records.push({ offset: baseOffset + index, value, transaction })
    }
    return durable
  }

  /** What a reader of all records must get from `from` on. */
  all(from = 0): Placed[] {
    return this.#placed(this.#records.filter(({ offset }) => offset >= from))
  }

  /** What a reader of committed records must get: nothing at or above the first open transaction. */
  committed(from = 0): Placed[] {
    const end = this.stableEnd
    return this.#placed(
      this.#records.filter(
        ({ offset, transaction }) => offset >= from && offset < end && (transaction?.outcome ?? 'commit') === 'commit',
      ),
    )
  }

  get stableEnd(): number {
    const open = this.#writers.flatMap(({ transaction }) => (transaction ? [transaction.firstOffset] : []))
    return Math.min(this.#log.endOffset, ...open)
  }

  #placed(records: readonly AccountedRecord[]): Placed[] {
    return records.map(({ offset, value }) => ({ offset, value }))
  }
}
