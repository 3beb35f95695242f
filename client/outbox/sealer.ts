/**
 * From rows to batches: which rows share a batch, under which stamp, and the batch's bytes.
 *
 * Invariant: the bytes of a sealed batch follow from its rows and its stamp alone. So they need not be stored a second
 * time, and what is sent after a crash is what was sent before it.
 */
import { findBatchFault, readBatchHeader, sequenceAfter, stampProducer, viewOf } from '../../protocol/record-batch.ts'
import { joinRecords, splitBatch } from '../../protocol/records.ts'
import { OttlaError } from '../errors.ts'
import type { ReplicaStore } from '../replica/store.ts'
import type { ProducerIdentity, SealedBatch } from '../replica/store-outbox.ts'
import type { Lane, LaneBatch } from './lane.ts'
import type { LedgerRow } from './ledger.ts'

export const SEALED_BYTES_MAX = 256 * 1024

/** The next rows that go into one batch. Compressed ones go alone: joining them would mean inflating. */
export function takeRows(waiting: readonly LedgerRow[]): LedgerRow[] {
  const taken: LedgerRow[] = []
  let sizeBytes = 0
  let countMax = Number.POSITIVE_INFINITY
  for (const row of waiting) {
    if (taken.length > 0) {
      const fits = sizeBytes + row.sizeBytes <= SEALED_BYTES_MAX
      if (!fits || row.isCompressed || taken[0]!.isCompressed) break
      countMax = Math.min(countMax, row.sharedWithMax)
      if (taken.length >= countMax) break
    } else {
      countMax = row.sharedWithMax
    }
    taken.push(row)
    sizeBytes += row.sizeBytes
  }
  return taken
}

export interface Sealing {
  batches: Array<{ sealed: SealedBatch; rows: LedgerRow[] }>
  identity: ProducerIdentity
}

/** Batches for the front of the lane's waiting rows, at most `countMax`. Changes nothing. */
export function planSealing(
  lane: Lane,
  identity: ProducerIdentity,
  countMax: number,
  newKey: () => number,
  nowMs: number,
): Sealing {
  const batches: Sealing['batches'] = []
  let rest: readonly LedgerRow[] = lane.waitingAlone
  let nextSequence = identity.nextSequence
  while (batches.length < countMax && rest.length > 0) {
    const rows = takeRows(rest)
    const recordCount = rows.reduce((sum, row) => sum + row.recordCount, 0)
    batches.push({
      rows,
      sealed: {
        key: newKey(),
        topic: lane.topic,
        topicId: lane.topicId,
        partition: lane.partition,
        rowKeys: rows.map(({ key }) => key),
        recordCount,
        producerId: identity.producerId,
        producerEpoch: identity.producerEpoch,
        baseSequence: nextSequence,
        sealedAtMs: nowMs,
      },
    })
    nextSequence = sequenceAfter(nextSequence, recordCount)
    rest = rest.slice(rows.length)
  }
  return { batches, identity: { ...identity, nextSequence } }
}

/** The bytes to send. Throws CORRUPT when a stored row is damaged or gone: it must not be stamped and so made valid. */
export function batchBytes(
  { sealed, rows }: LaneBatch,
  store: Pick<ReplicaStore, 'readOutboxRows'>,
): Promise<Uint8Array> {
  return stampedBytes(rows, sealed, store)
}

/** The same for any rows of one partition, under any stamp. */
export async function stampedBytes(
  rows: readonly LedgerRow[],
  stamp: Parameters<typeof stampProducer>[1],
  store: Pick<ReplicaStore, 'readOutboxRows'>,
): Promise<Uint8Array> {
  const parts = await rowBytes(rows, store)
  const batch = parts.length === 1 ? parts[0]!.slice() : joinRecords(parts.flatMap((part) => splitBatch(part)))
  stampProducer(batch, stamp)
  return batch
}

async function rowBytes(
  rows: readonly LedgerRow[],
  store: Pick<ReplicaStore, 'readOutboxRows'>,
): Promise<Uint8Array[]> {
  const missing = rows.filter(({ batch }) => batch === undefined).map(({ key }) => key)
  if (missing.length === 0) return rows.map(({ batch }) => batch!)
  const stored = new Map((await store.readOutboxRows(missing)).map((row, index) => [missing[index]!, row?.batch]))
  return rows.map((row) => {
    const batch = row.batch ?? stored.get(row.key)
    const fault = batch ? faultOf(batch) : 'missing'
    if (batch && !fault) return batch
    throw new OttlaError('CORRUPT', {
      message: `a stored write to ${row.topic} can no longer be read (${fault}); its id is ${row.id}`,
      hint: 'the device lost it; write it again',
      retriable: false,
    })
  })
}

/** What is wrong with a batch that somebody wants to enqueue, or that came out of a store; undefined when it is whole. */
export function faultOf(batch: Uint8Array): string | undefined {
  const view = viewOf(batch)
  const fault = findBatchFault(batch, view, 0)
  if (fault) return fault
  const header = readBatchHeader(view)
  if (header.sizeBytes !== batch.length) return 'size'
  if (header.recordCount < 1 || header.recordCount !== header.lastOffsetDelta + 1) return 'fields'
  return undefined
}
