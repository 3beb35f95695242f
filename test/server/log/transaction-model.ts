/**
 * What a log says of its transactions, held against what its own bytes say: the batches and markers that are in it, read
 * from the first to the last, with neither index nor snapshot.
 */
import { expect } from 'vitest'
import { batchesIn, isControl, isTransactional, lastOffsetOf } from '../../../protocol/record-batch.ts'
import { readMarker } from '../../../protocol/transaction-marker.ts'
import type { PartitionLog } from '../../../server/log/partition-log.ts'

interface DataBatch {
  producerId: number
  baseOffset: number
  lastOffset: number
  outcome: 'commit' | 'abort' | 'open'
}

/** Every data batch below the high watermark, and how it was decided. */
async function decisionsIn(log: PartitionLog): Promise<DataBatch[]> {
  const batches: DataBatch[] = []
  const open = new Map<number, DataBatch[]>()
  for (let at = log.startOffset; at < log.highWatermark; ) {
    const { bytes, nextOffset } = await log.read(at, 10_000)
    for (const { at: position, header } of batchesIn(bytes)) {
      const { producerId, baseOffset } = header
      if (isControl(header)) {
        const { outcome } = readMarker(bytes, position, header)!
        for (const batch of open.get(producerId) ?? []) batch.outcome = outcome
        open.delete(producerId)
      } else {
        const outcome = isTransactional(header) ? 'open' : 'commit'
        const batch: DataBatch = { producerId, baseOffset, lastOffset: lastOffsetOf(header), outcome }
        batches.push(batch)
        if (batch.outcome === 'open') open.set(producerId, [...(open.get(producerId) ?? []), batch])
      }
    }
    at = nextOffset
  }
  return batches
}

export async function checkTransactions(log: PartitionLog): Promise<void> {
  const decisions = await decisionsIn(log)
  const open = decisions.filter(({ outcome }) => outcome === 'open')
  // Those that began below the log start cannot be seen any more; the log may know of them.
  const inSight = log.openTransactions().filter(({ firstOffset }) => firstOffset >= log.startOffset)
  const firsts = new Map(open.toReversed().map(({ producerId, baseOffset }) => [producerId, baseOffset]))
  const isSplit = ({ producerId }: DataBatch) => !inSight.some((transaction) => transaction.producerId === producerId)
  for (const { producerId, firstOffset } of inSight) expect(firstOffset).toBe(firsts.get(producerId))
  const outOfSight = log.openTransactions().filter(({ firstOffset }) => firstOffset < log.startOffset)
  for (const batch of open.filter(isSplit)) {
    expect(outOfSight.map(({ producerId }) => producerId)).toContain(batch.producerId)
  }
  const stableEnd = outOfSight.length > 0 ? log.startOffset : Math.min(log.highWatermark, ...firsts.values())
  expect(log.lastStableOffset).toBe(Math.max(log.startOffset, stableEnd))
  await checkAborted(log, decisions)
}

async function checkAborted(log: PartitionLog, decisions: readonly DataBatch[]): Promise<void> {
  const expected = decisions.filter(({ lastOffset }) => lastOffset < log.lastStableOffset)
  const seen: DataBatch[] = []
  for (let at = log.startOffset; at < log.lastStableOffset; ) {
    const { bytes, nextOffset, aborted } = await log.readCommitted(at, 700)
    for (const { header } of batchesIn(bytes)) {
      const { producerId, baseOffset } = header
      const isAborted = aborted.some(
        (each) => each.producerId === producerId && each.firstOffset <= baseOffset && baseOffset <= each.lastOffset,
      )
      const outcome = isAborted ? 'abort' : 'commit'
      if (!isControl(header)) seen.push({ producerId, baseOffset, lastOffset: lastOffsetOf(header), outcome })
    }
    at = nextOffset
  }
  expect(seen).toEqual(expected)
}

/** As a coordinator does after its own crash: everything that is open is aborted under a higher epoch. */
export async function endOpenTransactions(log: PartitionLog): Promise<void> {
  for (const { producerId, producerEpoch } of log.openTransactions()) {
    const marker = { producerId, producerEpoch: producerEpoch + 1, coordinatorEpoch: 1, outcome: 'abort' as const }
    await log.appendMarker(marker).durable
  }
  expect(log.openTransactions()).toEqual([])
  expect(log.lastStableOffset).toBe(log.highWatermark)
  await checkTransactions(log)
}
