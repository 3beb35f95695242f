/**
 * What is done to stored chunks later: merging small ones, dropping what the policy no longer keeps. Pure plans; the
 * follower carries them out as jobs, a slice at a time, so that deliveries never wait for long.
 */
import type { ReplicaPolicy } from '../core.ts'
import { joinChunks } from './chunk-writer.ts'
import { MERGED_ROW_BYTES_MIN, ROW_BYTES_MAX } from './row-size.ts'
import type { ChunkReplacement, ChunkRow, StoredPosition } from './store.ts'

/** Read and rewritten at a time. */
export const SLICE_BYTES = 1024 * 1024
/** So many small rows are worth a merge. */
export const SMALL_ROWS_MAX = 256

/** `rows` are those from `position.mergedUpTo` on. null when there is nothing to gain. */
export function planMerge(position: StoredPosition, rows: readonly ChunkRow[]): ChunkReplacement | null {
  const groups = groupRows(rows)
  if (groups.length === 0) return null
  const tailBytes = groups.at(-1)!.reduce((sum, { bytes }) => sum + bytes.length, 0)
  const finished = tailBytes < MERGED_ROW_BYTES_MIN ? groups.slice(0, -1) : groups
  const mergedUpTo = finished.at(-1)?.at(-1)?.nextOffset ?? position.mergedUpTo
  // Large rows that stand alone at the front stay as they are.
  const firstChanged = groups.findIndex((group) => group.length > 1)
  if (firstChanged < 0 && mergedUpTo === position.mergedUpTo) return null
  const changed = firstChanged < 0 ? [] : groups.slice(firstChanged)
  const toOffset = rows.at(-1)!.nextOffset
  return {
    position: { ...position, mergedUpTo },
    fromOffset: changed[0]?.[0]?.baseOffset ?? toOffset,
    toOffset,
    chunks: changed.map(joinChunks),
  }
}

function groupRows(rows: readonly ChunkRow[]): ChunkRow[][] {
  const groups: ChunkRow[][] = []
  let groupBytes = Number.POSITIVE_INFINITY
  for (const row of rows) {
    const isLarge = row.bytes.length >= MERGED_ROW_BYTES_MIN
    const isBehindLarge = groups.at(-1)?.length === 1 && groupBytes >= MERGED_ROW_BYTES_MIN
    if (isLarge || isBehindLarge || groupBytes + row.bytes.length > ROW_BYTES_MAX) {
      groups.push([])
      groupBytes = 0
    }
    groups.at(-1)!.push(row)
    groupBytes += row.bytes.length
  }
  return groups
}

export interface TrimLimits {
  policy: ReplicaPolicy
  nowMs: number
  /** Space is needed: drop at least so much beyond what the policy would, newest chunk excepted. 0 for ordinary upkeep. */
  dropBytes: number
  /** What a table has not taken in yet is never dropped. */
  takenIn: number
}

/** A topic that is kept for its table only keeps so much; more than one merged row. */
const KEPT_FOR_TABLE_BYTES = 1024 * 1024

/** Whether it may be worth reading the oldest chunks. A little slack saves a read at every delivery. */
export function isTrimDue(
  { start, nextOffset, sizeBytes }: StoredPosition,
  { lastRecords, sizeBytesMax, onlyForTable }: ReplicaPolicy,
  takenIn: number,
) {
  if (onlyForTable) return takenIn > start && sizeBytes > KEPT_FOR_TABLE_BYTES
  if (sizeBytesMax !== undefined && sizeBytes > sizeBytesMax * 1.05) return true
  return lastRecords !== undefined && nextOffset - start > lastRecords * 1.1 + 1_000
}

/** `oldest` are the first chunks held. Drops whole chunks only, and never the newest. null when all may stay. */
export function planTrim(
  position: StoredPosition,
  oldest: readonly ChunkRow[],
  { policy, nowMs, dropBytes, takenIn }: TrimLimits,
): ChunkReplacement | null {
  let droppedBytes = 0
  let start = position.start
  for (const chunk of oldest) {
    if (chunk.nextOffset >= position.nextOffset || chunk.nextOffset > takenIn) break
    const isTooMuch = policy.sizeBytesMax !== undefined && position.sizeBytes - droppedBytes > policy.sizeBytesMax
    const isTooFar = policy.lastRecords !== undefined && chunk.nextOffset <= position.nextOffset - policy.lastRecords
    const isTooOld = policy.ageMsMax !== undefined && chunk.maxTimestamp < nowMs - policy.ageMsMax
    const isNeeded = isTooMuch || isTooFar || isTooOld || policy.onlyForTable
    if (!isNeeded && droppedBytes >= dropBytes) break
    droppedBytes += chunk.bytes.length
    start = chunk.nextOffset
  }
  if (start === position.start) return null
  const mergedUpTo = Math.max(position.mergedUpTo, start)
  return {
    position: { ...position, start, mergedUpTo, sizeBytes: Math.max(0, position.sizeBytes - droppedBytes) },
    fromOffset: 0,
    toOffset: start,
    chunks: [],
  }
}
