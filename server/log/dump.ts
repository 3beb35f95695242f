/**
 * Reads segment files for a person: every batch with its place, and what lies between damaged and good ones. Changes
 * nothing, believes nothing but the bytes, and needs no manifest.
 */
import type { BatchHeader } from '../../protocol/record-batch.ts'
import { lastOffsetOf, nextOffsetOf } from '../../protocol/record-batch.ts'
import type { Files, OpenFile } from '../storage/files.ts'
import { readFully, StorageError } from '../storage/files.ts'
import { MANIFEST_NAME, segmentFiles, segmentNameOf } from './log-names.ts'
import { chainWithoutManifest } from './segment-chain.ts'
import { findLaterBatches, type ScanStop, scanSegment } from './segment-scan.ts'

/** Batches that are held at a time. */
const WINDOW_BYTES = 16 * 1024 * 1024

export interface DumpedBatch {
  kind: 'batch'
  file: string
  position: number
  header: BatchHeader
  /** The batch as it is stored. */
  bytes(): Promise<Uint8Array>
}

export interface DumpedDamage {
  kind: 'damage'
  file: string
  position: number
  /** To the next good batch, or the end of the file. */
  sizeBytes: number
  reason: ScanStop['reason']
}

export interface DumpOptions {
  fromOffset?: number
  toOffset?: number
}

/**
 * Of one segment, or of all in a log's folder, in order. A running relay may replace or drop one before it is its turn: then
 * the folder is looked at again.
 */
export async function* dump(
  files: Files,
  path: string,
  { fromOffset = 0, toOffset = Number.POSITIVE_INFINITY }: DumpOptions = {},
): AsyncGenerator<DumpedBatch | DumpedDamage> {
  let [from, nextOffset] = [fromOffset, fromOffset]
  let left = await segmentsAt(files, path, from, toOffset)
  for (let segment = left.shift(); segment !== undefined; segment = left.shift()) {
    if (segment !== path && !(await files.stat(segment))) {
      from = nextOffset
      left = await segmentsAt(files, path, from, toOffset)
      continue
    }
    for await (const found of dumpSegment(files, segment)) {
      if (found.kind === 'batch') {
        if (lastOffsetOf(found.header) < from) continue
        if (found.header.baseOffset > toOffset) return
        nextOffset = nextOffsetOf(found.header)
      }
      yield found
    }
  }
}

async function segmentsAt(files: Files, path: string, fromOffset: number, toOffset: number): Promise<string[]> {
  const stat = await files.stat(path)
  if (!stat) throw new StorageError('ENOENT', 'dump', path)
  if (!stat.isFolder) return [path]
  const names = await files.list(path)
  const segments = chainWithoutManifest(names)
  // A restored log that never had a record has none until it is written to.
  if (segments.length === 0 && names.includes(MANIFEST_NAME)) return []
  if (segments.length === 0) throw new StorageError('NOT_DATA', 'dump', path, 'there are no segments in this folder')
  const first = segments.findLastIndex(({ baseOffset }) => baseOffset <= fromOffset)
  return segments
    .slice(Math.max(0, first))
    .filter(({ baseOffset }) => baseOffset <= toOffset)
    .map((segment) => `${path}/${segmentNameOf(segment)}`)
}

async function* dumpSegment(files: Files, path: string): AsyncGenerator<DumpedBatch | DumpedDamage> {
  const file = await files.open(path, 'read')
  try {
    const sizeBytes = await file.size()
    let [position, offset, windowBytes] = [0, baseOffsetOf(path), WINDOW_BYTES]
    while (position < sizeBytes) {
      const toPosition = Math.min(sizeBytes, position + windowBytes)
      const found: DumpedBatch[] = []
      const scanned = await scanSegment(
        file,
        { fromPosition: position, fromOffset: offset, toPosition },
        (header, at) =>
          found.push({
            kind: 'batch',
            file: path,
            position: at,
            header,
            bytes: () => bytesOf(file, at, header.sizeBytes),
          }),
      )
      yield* found
      const isCutByUs = scanned.stop?.reason === 'short' && toPosition < sizeBytes
      if (isCutByUs && scanned.position === position) windowBytes *= 2
      position = scanned.position
      offset = scanned.endOffset
      if (!scanned.stop || isCutByUs) continue
      const [next] = await findLaterBatches(file, position, sizeBytes, 0)
      const end = next?.position ?? sizeBytes
      yield { kind: 'damage', file: path, position, sizeBytes: end - position, reason: scanned.stop.reason }
      position = end
      offset = next?.baseOffset ?? offset
    }
  } finally {
    await file.close()
  }
}

function baseOffsetOf(path: string): number {
  const name = path.slice(path.lastIndexOf('/') + 1)
  const [segment] = segmentFiles([name])
  if (!segment) throw new StorageError('NOT_DATA', 'dump', path, 'a segment is named by its first offset')
  return segment.baseOffset
}

async function bytesOf(file: OpenFile, position: number, sizeBytes: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(sizeBytes)
  await readFully(file, bytes, position)
  return bytes
}
