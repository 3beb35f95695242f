/**
 * Reads a segment from end to end and checks every batch: length, magic, checksum, and that offsets follow one another.
 * Used by recovery, by the scrub and by `verify`.
 */
import type { BatchFault, BatchHeader } from '../../protocol/record-batch.ts'
import {
  BATCH_HEADER_BYTES,
  batchSizeAt,
  findBatchFault,
  nextOffsetOf,
  readBatchHeader,
  viewOf,
} from '../../protocol/record-batch.ts'
import type { OpenFile } from '../storage/files.ts'
import { readFully } from '../storage/files.ts'
import { logCrc32c } from './checksum.ts'
import { beginsCommit, clearCommitMark } from './commit-mark.ts'

const CHUNK_BYTES = 2 * 1024 * 1024

export type StopReason = BatchFault | 'offset'

export interface ScanStop {
  reason: StopReason
  position: number
}

export interface ScanRange {
  fromPosition: number
  fromOffset: number
  toPosition: number
}

export interface ScanResult {
  position: number
  endOffset: number
  /** Why it ended before `toPosition`. */
  stop: ScanStop | undefined
}

/** The batch's bytes begin at `at`; they are overwritten afterwards. */
export type OnBatch = (header: BatchHeader, position: number, bytes: Uint8Array, at: number) => void

/** Walks from a batch boundary on. `onBatch` sees each good batch; its leader epoch comes without the commit mark. */
export async function scanSegment(file: OpenFile, range: ScanRange, onBatch: OnBatch): Promise<ScanResult> {
  let position = range.fromPosition
  let expected = range.fromOffset
  let chunk = new Uint8Array(0)
  while (position < range.toPosition) {
    const left = range.toPosition - position
    const wanted = Math.min(left, Math.max(CHUNK_BYTES, chunk.length))
    chunk = await readAt(file, position, wanted, chunk)
    const view = viewOf(chunk)
    let at = 0
    for (;;) {
      const fault = findBatchFault(chunk, view, at, logCrc32c)
      if (fault === 'short' && position + chunk.length < range.toPosition) break
      if (at === chunk.length) break
      if (fault)
        return { position: position + at, endOffset: expected, stop: { reason: fault, position: position + at } }
      clearCommitMark(chunk, at)
      const header = readBatchHeader(view, at)
      if (header.baseOffset !== expected) {
        return { position: position + at, endOffset: expected, stop: { reason: 'offset', position: position + at } }
      }
      onBatch(header, position + at, chunk, at)
      expected = nextOffsetOf(header)
      at += header.sizeBytes
    }
    if (at === 0) {
      // A batch larger than the chunk: the size it declares is no more than what the file holds.
      const sizeBytes = viewOf(chunk).byteLength >= 12 ? batchSizeAt(view, 0) : BATCH_HEADER_BYTES
      if (sizeBytes > left || chunk.length < wanted) {
        return { position, endOffset: expected, stop: { reason: 'short', position } }
      }
      chunk = new Uint8Array(Math.max(sizeBytes, CHUNK_BYTES))
      continue
    }
    position += at
  }
  return { position, endOffset: expected, stop: undefined }
}

async function readAt(
  file: OpenFile,
  position: number,
  wanted: number,
  reuse: Uint8Array<ArrayBuffer>,
): Promise<Uint8Array<ArrayBuffer>> {
  const memory = reuse.buffer.byteLength >= wanted ? reuse.buffer : new ArrayBuffer(wanted)
  const buffer = new Uint8Array(memory, 0, wanted)
  return buffer.subarray(0, await readFully(file, buffer, position))
}

export interface LaterBatch {
  position: number
  baseOffset: number
  /** It begins a commit, so all before it was durable when it was written. */
  beginsCommit: boolean
}

/**
 * Good batches somewhere after the damage at `from`, at any byte: the damage may have hit a length. Only such that could
 * follow `expectedOffset`. Stops at the first that begins a commit, because that settles what the damage is.
 */
export async function findLaterBatches(
  file: OpenFile,
  from: number,
  to: number,
  expectedOffset: number,
): Promise<LaterBatch[]> {
  const found: LaterBatch[] = []
  const tail = new Uint8Array(to - from)
  const bytes = tail.subarray(0, await readFully(file, tail, from))
  const view = viewOf(bytes)
  for (let at = 1; at + BATCH_HEADER_BYTES <= bytes.length; ) {
    const isLikely = bytes[at + 16] === 2 && bytes[at] === 0 && batchSizeAt(view, at) <= bytes.length - at
    if (!isLikely || findBatchFault(bytes, view, at, logCrc32c)) {
      at++
      continue
    }
    const header = readBatchHeader(view, at)
    if (header.baseOffset >= expectedOffset) {
      const batch = { position: from + at, baseOffset: header.baseOffset, beginsCommit: beginsCommit(bytes, at) }
      found.push(batch)
      if (batch.beginsCommit) break
    }
    at += header.sizeBytes
  }
  return found
}
