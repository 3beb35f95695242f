/** Where in a replica the records begin that are at least so young. Loaded when somebody asks. */
import type { CodecRegistry } from '../../protocol/compression.ts'
import { batchesIn } from '../../protocol/record-batch.ts'
import type { Core, ReplicaRange, StoredChunk } from '../core.ts'
import { decodeFrame } from './decode-frame.ts'
import type { Frame, Isolation } from './source.ts'

export interface Since {
  timestampMs: number
  isolation: Isolation
  /** Resolves when what the replica holds is enough, or nothing more is to be waited for. */
  untilRange(partition: number, isEnough: (range: ReplicaRange) => boolean): Promise<void>
}

/** Of a replica that is behind, what is still to come may be as old as it likes: it is looked through as it comes. */
export async function firstOffsetSince(
  core: Core,
  rangeNow: () => ReplicaRange,
  since: Since,
  codecs: CodecRegistry,
): Promise<number> {
  for (let lookedUpTo = 0; ; ) {
    const range = rangeNow()
    const found = await firstIn(core, { ...range, start: Math.max(range.start, lookedUpTo) }, since, codecs)
    if (found !== undefined) return found
    lookedUpTo = range.end
    await since.untilRange(range.partition, ({ end, upToDate }) => upToDate || end !== lookedUpTo)
    if (rangeNow().end === lookedUpTo) return lookedUpTo
  }
}

/**
 * Halves the range by the largest timestamp of the chunk in the middle: right as long as timestamps grow about as offsets
 * do; a straggler may hide in an earlier chunk, as it may from the relay's sparse time index.
 */
async function firstIn(
  core: Core,
  range: ReplicaRange,
  { timestampMs, isolation }: Since,
  codecs: CodecRegistry,
): Promise<number | undefined> {
  let { start: low, end: high } = range
  let candidate: Frame | undefined
  while (low < high) {
    const middle = Math.floor((low + high) / 2)
    const [chunk] = await core.readReplica(range.topicId, range.partition, middle, 1)
    if (!chunk) break
    if (chunk.batches.length === 0 || chunk.baseOffset >= high) {
      // Nothing is left between the middle and what is known.
      high = middle
      continue
    }
    let maxTimestamp = -1
    for (const { header } of batchesIn(chunk.batches)) maxTimestamp = Math.max(maxTimestamp, header.maxTimestamp)
    if (maxTimestamp < timestampMs) low = chunk.nextOffset
    else {
      high = chunk.baseOffset
      candidate = frameOf(range, chunk, isolation)
    }
  }
  if (!candidate) return undefined
  const records = await decodeFrame(candidate, codecs)
  return records.find((record) => record.timestamp >= timestampMs)?.offset ?? candidate.nextOffset
}

function frameOf({ partition, start }: ReplicaRange, chunk: StoredChunk, isolation: Isolation): Frame {
  const { batches, nextOffset } = chunk
  const aborted = isolation === 1 ? (chunk.aborted ?? []) : []
  return { partition, batches, fromOffset: start, nextOffset, aborted, gap: undefined, release: () => {} }
}
