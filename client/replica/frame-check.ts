/**
 * A delivered frame as rows for the store: every batch checked against its checksum, what is held already taken off the
 * front, and the bytes copied out of the message they came in.
 */
import type { AbortedTransaction, Deliver } from '../../protocol/messages/offset-protocol.ts'
import { findBatchFault, lastOffsetOf, readBatchHeader, viewOf } from '../../protocol/record-batch.ts'
import { type BatchOfFrame, cutIntoRows } from './row-size.ts'
import type { ChunkRow } from './store.ts'

export interface CheckedFrame {
  /** null: none was found. */
  fault: string | null
  chunks: ChunkRow[]
  leaderEpoch: number | null
}

/**
 * `nextOffset` is the first offset that is not held yet; a batch that reaches beyond it is kept whole. The frame claims to
 * lead to a position; offsets lie outside the checksum, so they are held against it and each other.
 */
export function checkFrame(
  { records, aborted, nextOffset: frameEnd }: Pick<Deliver, 'records' | 'aborted' | 'nextOffset'>,
  nextOffset: number,
): CheckedFrame {
  const view = viewOf(records)
  const kept: BatchOfFrame[] = []
  let at = 0
  let previousLast = -1
  let leaderEpoch: number | null = null
  while (at < records.length) {
    const fault = findBatchFault(records, view, at)
    if (fault) return faulty(`${fault} at byte ${at} of ${records.length}`)
    const header = readBatchHeader(view, at)
    const { baseOffset, sizeBytes, maxTimestamp } = header
    const isInOrder = baseOffset > previousLast && lastOffsetOf(header) < frameEnd
    if (!isInOrder) return faulty(`offsets out of order at byte ${at}`)
    previousLast = lastOffsetOf(header)
    if (previousLast >= nextOffset) {
      kept.push({ at, sizeBytes, baseOffset, nextOffset: previousLast + 1, maxTimestamp })
      leaderEpoch = header.leaderEpoch
    }
    at += sizeBytes
  }
  const chunks = cutIntoRows(kept).map((batches) => withAborted(rowOf(records, batches), aborted))
  return { fault: null, chunks, leaderEpoch }
}

const faulty = (fault: string): CheckedFrame => ({ fault, chunks: [], leaderEpoch: null })

function rowOf(records: Uint8Array, batches: readonly BatchOfFrame[]): ChunkRow {
  const [first, last] = [batches[0]!, batches.at(-1)!]
  return {
    baseOffset: first.baseOffset,
    nextOffset: last.nextOffset,
    maxTimestamp: Math.max(...batches.map(({ maxTimestamp }) => maxTimestamp)),
    bytes: records.slice(first.at, last.at + last.sizeBytes),
  }
}

/** The chunk with those of `aborted` that may have batches in it. */
export function withAborted(chunk: ChunkRow, aborted: readonly AbortedTransaction[]): ChunkRow {
  const within = aborted.filter(
    ({ firstOffset, lastOffset }) => firstOffset < chunk.nextOffset && lastOffset >= chunk.baseOffset,
  )
  return within.length > 0 ? { ...chunk, aborted: within } : chunk
}

/** The part of a chunk below `offset`, in whole batches; null when no batch ends below it. */
export function chunkBelow(chunk: ChunkRow, offset: number): { chunk: ChunkRow; leaderEpoch: number } | null {
  const view = viewOf(chunk.bytes)
  let at = 0
  let kept: { end: number; nextOffset: number; leaderEpoch: number } | null = null
  let maxTimestamp = -1
  while (at < chunk.bytes.length) {
    const header = readBatchHeader(view, at)
    if (lastOffsetOf(header) >= offset) break
    at += header.sizeBytes
    maxTimestamp = Math.max(maxTimestamp, header.maxTimestamp)
    kept = { end: at, nextOffset: lastOffsetOf(header) + 1, leaderEpoch: header.leaderEpoch }
  }
  if (!kept) return null
  const { end, nextOffset, leaderEpoch } = kept
  const below = { baseOffset: chunk.baseOffset, nextOffset, maxTimestamp, bytes: chunk.bytes.slice(0, end) }
  return { chunk: withAborted(below, chunk.aborted ?? []), leaderEpoch }
}
