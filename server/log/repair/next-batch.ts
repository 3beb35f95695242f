/**
 * Where does a segment go on behind damaged bytes?
 *
 * First where the damaged batch itself says that it ends: its length may well be right. Else at the next byte from which a
 * whole batch can be read whose offset may stand there. The first way matters: what a record holds is up to its producer,
 * and may look like a batch.
 */
import {
  BATCH_HEADER_BYTES,
  BATCH_OVERHEAD_BYTES,
  type BatchHeader,
  batchSizeAt,
  findBatchFault,
  nextOffsetOf,
  readBatchHeader,
  viewOf,
} from '../../../protocol/record-batch.ts'
import { type OpenFile, readFully } from '../../storage/files.ts'
import { logCrc32c } from '../checksum.ts'

const WINDOW_BYTES = 4 * 1024 * 1024

/** What may stand behind the damage: bytes below `to`, offsets from `fromOffset` on that end at or before `belowOffset`. */
export interface SearchRange {
  to: number
  fromOffset: number
  belowOffset: number
}

export interface FoundBatch {
  position: number
  header: BatchHeader
}

/** `from` is where the damage begins. undefined: nothing good follows. */
export async function findNextBatch(file: OpenFile, from: number, range: SearchRange): Promise<FoundBatch | undefined> {
  const declaredEnd = from + (await declaredSizeAt(file, from))
  if (declaredEnd === range.to) return undefined
  const declared = declaredEnd < range.to ? await batchAt(file, declaredEnd, range.to) : undefined
  if (declared && mayStand(declared.header, range)) return declared
  for (let at = from + 1; at + BATCH_HEADER_BYTES <= range.to; ) {
    const window = await read(file, at, Math.min(WINDOW_BYTES, range.to - at))
    const view = viewOf(window)
    let index = 0
    for (; index + BATCH_HEADER_BYTES <= window.length; index++) {
      if (window[index + 16] !== 2 || window[index] !== 0) continue
      if (batchSizeAt(view, index) > range.to - at - index) continue
      const found = await batchAt(file, at + index, range.to)
      if (found && mayStand(found.header, range)) return found
    }
    at += index
  }
  return undefined
}

const mayStand = (header: BatchHeader, { fromOffset, belowOffset }: SearchRange): boolean =>
  header.baseOffset >= fromOffset && nextOffsetOf(header) <= belowOffset

/** 0 when it declares nothing that a batch could have. */
async function declaredSizeAt(file: OpenFile, position: number): Promise<number> {
  const bytes = await read(file, position, BATCH_OVERHEAD_BYTES)
  const sizeBytes = bytes.length < BATCH_OVERHEAD_BYTES ? 0 : batchSizeAt(viewOf(bytes), 0)
  return sizeBytes < BATCH_HEADER_BYTES ? 0 : sizeBytes
}

/** The good batch that begins at exactly `position` and ends at or before `to`. */
export async function batchAt(file: OpenFile, position: number, to: number): Promise<FoundBatch | undefined> {
  const sizeBytes = await declaredSizeAt(file, position)
  if (sizeBytes === 0 || sizeBytes > to - position) return undefined
  const bytes = await read(file, position, sizeBytes)
  const view = viewOf(bytes)
  if (findBatchFault(bytes, view, 0, logCrc32c)) return undefined
  return { position, header: readBatchHeader(view, 0) }
}

async function read(file: OpenFile, position: number, sizeBytes: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(sizeBytes)
  return bytes.subarray(0, await readFully(file, bytes, position))
}
