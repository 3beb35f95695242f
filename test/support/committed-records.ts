/** What a reader of committed records makes of a Fetch, as Kafka's own consumers do it. */
import { batchesIn, isControl, isTransactional } from '../../protocol/record-batch.ts'
import { readMarker } from '../../protocol/transaction-marker.ts'
import { recordsIn } from './read-values.ts'
import type { Placed } from './transactions.ts'

export interface FetchedPartition {
  records: Uint8Array | null
  abortedTransactions: ReadonlyArray<{ producerId: number; firstOffset: number }> | null
}

/** `nextOffset` is -1 where there was no batch. */
export function committedOf({ records, abortedTransactions }: FetchedPartition): {
  placed: Placed[]
  nextOffset: number
} {
  const waiting = [...(abortedTransactions ?? [])].sort((a, b) => a.firstOffset - b.firstOffset)
  const aborting = new Set<number>()
  const placed: Placed[] = []
  let nextOffset = -1
  for (const { at, end, header } of batchesIn(records!)) {
    const lastOffset = header.baseOffset + header.lastOffsetDelta
    nextOffset = lastOffset + 1
    while (waiting[0] && waiting[0].firstOffset <= lastOffset) aborting.add(waiting.shift()!.producerId)
    if (isControl(header)) {
      if (readMarker(records!, at, header)?.outcome === 'abort') aborting.delete(header.producerId)
    } else if (!isTransactional(header) || !aborting.has(header.producerId)) {
      placed.push(...recordsIn(records!.subarray(at, end)))
    }
  }
  return { placed, nextOffset }
}
