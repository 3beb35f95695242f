/**
 * What is left of a partition when its log was cut at an offset: whole batches below it, and the leader epoch of the last
 * of them, without which the relay could not tell whether what is left is still the log's.
 */
import { chunkBelow } from './frame-check.ts'
import type { ChunkReplacement, ChunkRow, ReplicaStore, StoredPosition } from './store.ts'

export const NO_END = Number.POSITIVE_INFINITY
const READ_BYTES = 1024 * 1024

type Reads = Pick<ReplicaStore, 'readChunks'>

/** `offset` lies below `position.nextOffset`. A cut inside a batch takes the whole batch; what is left of it comes again. */
export async function planCut(store: Reads, position: StoredPosition, offset: number): Promise<ChunkReplacement> {
  const { topicId, partition } = position
  const [chunk] = await store.readChunks(topicId, partition, offset, 1)
  const straddling = chunk && chunk.baseOffset < offset ? chunk : undefined
  const below = straddling ? chunkBelow(straddling, offset) : null
  const nextOffset = straddling ? (below?.chunk.nextOffset ?? straddling.baseOffset) : offset
  const last = below ?? (await lastBatchBelow(store, position, nextOffset))
  const droppedBytes = await bytesFrom(store, position, offset)
  return {
    position: {
      ...position,
      start: Math.min(position.start, nextOffset),
      nextOffset,
      leaderEpoch: last?.leaderEpoch ?? -1,
      generation: position.generation + 1,
      sizeBytes: Math.max(0, position.sizeBytes - droppedBytes + (below?.chunk.bytes.length ?? 0)),
      mergedUpTo: Math.min(position.mergedUpTo, below?.chunk.baseOffset ?? nextOffset),
    },
    fromOffset: offset,
    toOffset: NO_END,
    chunks: below ? [below.chunk] : [],
  }
}

/** Chunks are found by an offset inside them or above; the last one below is found by halving what lies between. */
async function lastBatchBelow(
  store: Reads,
  { topicId, partition, start }: StoredPosition,
  offset: number,
): Promise<{ leaderEpoch: number } | null> {
  let [low, high] = [start, offset]
  let last: ChunkRow | undefined
  while (low < high) {
    const middle = Math.floor((low + high) / 2)
    const [chunk] = await store.readChunks(topicId, partition, middle, 1)
    if (chunk && chunk.nextOffset <= offset) {
      last = chunk
      low = chunk.nextOffset
    } else {
      high = middle
    }
  }
  return last ? chunkBelow(last, offset) : null
}

async function bytesFrom(store: Reads, position: StoredPosition, offset: number): Promise<number> {
  let sizeBytes = 0
  for (let at = offset; at < position.nextOffset; ) {
    const rows = await store.readChunks(position.topicId, position.partition, at, READ_BYTES)
    if (rows.length === 0) break
    for (const { bytes } of rows) sizeBytes += bytes.length
    at = rows.at(-1)!.nextOffset
  }
  return sizeBytes
}
