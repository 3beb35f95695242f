/**
 * A delivered frame as a row for the store: every batch checked against its checksum, what is held already taken off the
 * front, and the bytes copied out of the message they came in.
 */
import type { AbortedTransaction, Deliver } from '../../protocol/messages/offset-protocol.ts'
import { findBatchFault, lastOffsetOf, readBatchHeader, viewOf } from '../../protocol/record-batch.ts'
import type { ChunkRow } from './store.ts'

export type CheckedFrame =
  | { fault: string; chunk: null; leaderEpoch: null }
  | { fault: null; chunk: ChunkRow | null; leaderEpoch: number | null }

/**
 * `nextOffset` is the first offset that is not held yet; a batch that reaches beyond it is kept whole. The frame claims to
 * lead to a position; offsets lie outside the checksum, so they are held against it and each other.
 */
export function checkFrame(
  { records, aborted, nextOffset: frameEnd }: Pick<Deliver, 'records' | 'aborted' | 'nextOffset'>,
  nextOffset: number,
): CheckedFrame {
  const view = viewOf(records)
  let at = 0
  let keptFrom = -1
  let baseOffset = -1
  let lastOffset = nextOffset - 1
  let previousLast = -1
  let maxTimestamp = -1
  let leaderEpoch: number | null = null
  while (at < records.length) {
    const fault = findBatchFault(records, view, at)
    if (fault) return { fault: `${fault} at byte ${at} of ${records.length}`, chunk: null, leaderEpoch: null }
    const header = readBatchHeader(view, at)
    const isInOrder = header.baseOffset > previousLast && lastOffsetOf(header) < frameEnd
    if (!isInOrder) return { fault: `offsets out of order at byte ${at}`, chunk: null, leaderEpoch: null }
    previousLast = lastOffsetOf(header)
    if (lastOffsetOf(header) > lastOffset) {
      if (keptFrom < 0) {
        keptFrom = at
        baseOffset = header.baseOffset
      }
      lastOffset = lastOffsetOf(header)
      maxTimestamp = Math.max(maxTimestamp, header.maxTimestamp)
      leaderEpoch = header.leaderEpoch
    }
    at += header.sizeBytes
  }
  if (keptFrom < 0) return { fault: null, chunk: null, leaderEpoch: null }
  const chunk = { baseOffset, nextOffset: lastOffset + 1, maxTimestamp, bytes: records.slice(keptFrom) }
  return { fault: null, chunk: withAborted(chunk, aborted), leaderEpoch }
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
