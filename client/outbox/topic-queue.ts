/**
 * Writes to one topic before they have a partition.
 *
 * Invariant: rows leave in the order in which they came, so those of one partition keep their order. A row whose records
 * belong to several partitions is replaced in the store by one row for each, in one step, before any later row moves on.
 */

import { partitionForKey } from '../../protocol/lib/partitioner.ts'
import { randomBelow } from '../../protocol/lib/random.ts'
import { type EncodedRecord, joinRecords, splitBatch } from '../../protocol/records.ts'
import type { TopicInfo } from '../core.ts'
import { type ErrorInfo, OttlaError } from '../errors.ts'
import { type OutboxRow, partKey } from '../replica/store-outbox.ts'
import { type DrainContext, setAside } from './context.ts'
import type { LedgerRow } from './ledger.ts'
import { faultOf, SEALED_BYTES_MAX } from './sealer.ts'

const READ_ROWS_MAX = 64

export class TopicQueue {
  readonly name: string
  /** undefined until looked up on this connection. */
  info: TopicInfo | undefined
  unassigned: LedgerRow[] = []
  isBusy = false
  failures = 0
  retryAt = 0
  /** Monotonic time since when the relay has said that there is no such topic. */
  missingSince: number | undefined
  #stickyPartition = -1
  #stickyBytes = 0

  constructor(name: string) {
    this.name = name
  }

  /** Moves every row to its partition: `place(row, partition)`. */
  async assignAll(context: DrainContext, place: (row: LedgerRow, partition: number) => void): Promise<void> {
    while (this.info && this.unassigned.length > 0) {
      const row = this.unassigned[0]!
      const { partitionCount } = this.info
      if (row.partition !== null) {
        if (row.partition < partitionCount) this.#placeFirst(row.partition, place)
        else await this.#refuseFirst(row, partitionCount, context)
        continue
      }
      row.isBusy = true
      const batch = row.batch ?? (await this.#readFirst(context))
      const fault = batch ? faultOf(batch) : 'missing'
      if (!batch || fault) await this.#setFirstAside(row, corrupt(row, fault ?? 'missing'), context)
      else await this.#placeByKey(row, splitBatch(batch), partitionCount, context, place)
    }
  }

  async #placeByKey(
    row: LedgerRow,
    records: EncodedRecord[],
    partitionCount: number,
    context: DrainContext,
    place: (row: LedgerRow, partition: number) => void,
  ): Promise<void> {
    const indexesOf = new Map<number, number[]>()
    const sticky = this.#sticky(row.sizeBytes, partitionCount, context)
    records.forEach(({ key }, index) => {
      const partition = key === null ? sticky : partitionForKey(key, partitionCount)
      const indexes = indexesOf.get(partition)
      if (indexes) indexes.push(index)
      else indexesOf.set(partition, [index])
    })
    if (indexesOf.size === 1) return this.#placeFirst([...indexesOf.keys()][0]!, place)
    const parts = splitRow(row, records, indexesOf)
    await context.commits.commit({ deleteRows: [row.key], putRows: parts })
    this.unassigned.shift()
    context.ledger.replace(row, parts)
    for (const part of parts) place(context.ledger.rows.get(part.key)!, part.partition!)
  }

  #placeFirst(partition: number, place: (row: LedgerRow, partition: number) => void): void {
    const row = this.unassigned.shift()!
    row.isBusy = false
    place(row, partition)
  }

  async #refuseFirst(row: LedgerRow, partitionCount: number, context: DrainContext): Promise<void> {
    row.isBusy = true
    // The count may have grown since it was cached.
    const [fresh] = await context.session.metadata.refresh([this.name])
    if (fresh) this.info = fresh
    if (row.partition! < (fresh?.partitionCount ?? partitionCount)) return
    await this.#setFirstAside(row, noSuchPartition(row, partitionCount), context)
  }

  async #setFirstAside(row: LedgerRow, error: ErrorInfo, context: DrainContext): Promise<void> {
    if (row.transaction) return context.refuseTransaction(row, error)
    await setAside(context, [{ rows: [row], phase: 'parked', error }])
    row.isBusy = false
    this.unassigned.shift()
  }

  /** Reads the bytes of the first rows at once: after a restart there may be many. */
  async #readFirst(context: DrainContext): Promise<Uint8Array | undefined> {
    const rows = this.unassigned.slice(0, READ_ROWS_MAX).filter(({ batch }) => batch === undefined)
    const stored = await context.store.readOutboxRows(rows.map(({ key }) => key))
    rows.forEach((row, index) => {
      const batch = stored[index]?.batch
      if (batch) context.ledger.cache(row, batch)
    })
    return stored[0]?.batch
  }

  /** Records without a key stay with one partition until it has a batch's worth, then move on. */
  #sticky(sizeBytes: number, partitionCount: number, context: DrainContext): number {
    if (this.#stickyPartition < 0 || this.#stickyPartition >= partitionCount || this.#stickyBytes >= SEALED_BYTES_MAX) {
      const step = partitionCount > 1 ? 1 + randomBelow(context.random, partitionCount - 1) : 0
      this.#stickyPartition =
        this.#stickyPartition < 0
          ? randomBelow(context.random, partitionCount)
          : (this.#stickyPartition + step) % partitionCount
      this.#stickyBytes = 0
    }
    this.#stickyBytes += sizeBytes
    return this.#stickyPartition
  }
}

function splitRow(row: LedgerRow, records: EncodedRecord[], indexesOf: ReadonlyMap<number, number[]>): OutboxRow[] {
  const { id, topic, storedAtMs, transaction } = row
  let part = 0
  return [...indexesOf].map(([partition, indexes]) => ({
    ...(transaction && { transaction }),
    key: partKey(row.key, ++part),
    id,
    topic,
    partition,
    batch: joinRecords(indexes.map((index) => records[index]!)),
    recordCount: indexes.length,
    storedAtMs,
    state: transaction ? ('transaction' as const) : ('waiting' as const),
    error: null,
    part: row.part
      ? { indexes: indexes.map((index) => row.part!.indexes[index]!), recordCountOfAll: row.part.recordCountOfAll }
      : { indexes, recordCountOfAll: records.length },
  }))
}

function corrupt(row: LedgerRow, fault: string): ErrorInfo {
  return new OttlaError('CORRUPT', {
    message: `a stored write to ${row.topic} can no longer be read (${fault}); its id is ${row.id}`,
    hint: 'the device lost it; write it again',
    retriable: false,
  }).toInfo()
}

function noSuchPartition(row: LedgerRow, partitionCount: number): ErrorInfo {
  return new OttlaError('UNKNOWN_PARTITION', {
    message: `${row.topic} has ${partitionCount} partitions; there is no partition ${row.partition}`,
  }).toInfo()
}
