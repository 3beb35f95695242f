/** The batches of a segment one after another, each checked, at a given pace. */
import {
  BATCH_HEADER_BYTES,
  type BatchHeader,
  batchSizeAt,
  findBatchFault,
  nextOffsetOf,
  readBatchHeader,
  viewOf,
} from '../../../protocol/record-batch.ts'
import type { OpenFile } from '../../storage/files.ts'
import { readFully } from '../../storage/files.ts'
import { logCrc32c } from '../checksum.ts'
import { clearCommitMark } from '../commit-mark.ts'
import type { Pace } from './pace.ts'

const CHUNK_BYTES = 256 * 1024

export interface StreamedBatch {
  header: BatchHeader
  /** Without the commit mark. A view of a chunk that is not used again. */
  bytes: Uint8Array
  position: number
}

export interface StreamedPart {
  baseOffset: number
  endOffset: number
  sizeBytes: number
}

/** The segment does not hold what it should. */
export class SegmentDamage extends Error {
  override readonly name = 'SegmentDamage'
}

export async function* streamBatches(file: OpenFile, part: StreamedPart, pace: Pace): AsyncGenerator<StreamedBatch> {
  let expected = part.baseOffset
  let wanted = CHUNK_BYTES
  for (let position = 0; position < part.sizeBytes; ) {
    const chunk = new Uint8Array(Math.min(wanted, part.sizeBytes - position))
    if ((await readFully(file, chunk, position)) < chunk.length) throw new SegmentDamage('the file ends too early')
    pace.spend(chunk.length)
    const view = viewOf(chunk)
    let at = 0
    while (at < chunk.length) {
      const fault = findBatchFault(chunk, view, at, logCrc32c)
      if (fault === 'short' && position + chunk.length < part.sizeBytes) break
      if (fault) throw new SegmentDamage(`a damaged batch (${fault}) at byte ${position + at}, offset ${expected}`)
      clearCommitMark(chunk, at)
      const header = readBatchHeader(view, at)
      if (header.baseOffset !== expected) {
        throw new SegmentDamage(`offset ${header.baseOffset} at byte ${position + at}, where ${expected} should be`)
      }
      if (pace.isDue) await pace.rest()
      yield { header, bytes: chunk.subarray(at, at + header.sizeBytes), position: position + at }
      expected = nextOffsetOf(header)
      at += header.sizeBytes
    }
    position += at
    // Larger than a chunk: as much as it declares, which is no more than what is left, or the next read finds it short.
    wanted = at > 0 || chunk.length < BATCH_HEADER_BYTES ? CHUNK_BYTES : Math.max(CHUNK_BYTES, batchSizeAt(view, 0))
  }
  if (expected !== part.endOffset) throw new SegmentDamage(`it ends at offset ${expected}, not at ${part.endOffset}`)
}
