/**
 * Cuts a log at an offset so that a crash in between leaves it as before or as after. The decision is made durable first,
 * as a manifest that names the cut; every step after that may be repeated, and opening the log repeats them.
 */
import { nextOffsetOf } from '../../protocol/record-batch.ts'
import type { Files, OpenFile } from '../storage/files.ts'
import { readFully, writeFully } from '../storage/files.ts'
import { EpochTable } from './epoch-table.ts'
import type { SegmentFile } from './log-names.ts'
import {
  CLEAN_MARKER_NAME,
  indexNameOf,
  segmentName,
  segmentNameOf,
  snapshotName,
  snapshotOffsets,
  unfinishedName,
} from './log-names.ts'
import type { Manifest } from './manifest.ts'
import { writeManifest } from './manifest.ts'
import type { OpenFileLimit } from './open-file-limit.ts'
import { Segment } from './segment.ts'
import { chainOf } from './segment-chain.ts'
import { scanSegment } from './segment-scan.ts'
import { SYNC_POINT_NAME } from './sync-point.ts'

const COPY_BYTES = 1024 * 1024

export interface TruncationContext {
  files: Files
  dir: string
  limit: OpenFileLimit
}

/** Does what a manifest with `truncateTo` says, and replaces it by one without. The cut falls on a batch's beginning. */
export async function finishTruncation(
  context: TruncationContext,
  manifest: Manifest,
  offset: number,
  names: readonly string[],
): Promise<void> {
  const { files, dir } = context
  const segments = [...manifest.sealed, ...chainOf(names, manifest).written]
  const target = segments.findLast(({ baseOffset }) => baseOffset <= offset)
  const doomed = [
    ...segments
      .filter(({ baseOffset }) => baseOffset > offset)
      .flatMap((segment) => [segmentNameOf(segment), indexNameOf(segment)]),
    ...snapshotOffsets(names)
      .filter((end) => end > offset)
      .map(snapshotName),
    ...(target ? [indexNameOf(target)] : []),
    CLEAN_MARKER_NAME,
    SYNC_POINT_NAME,
  ]
  // The sync point goes before the data that it vouches for.
  for (const name of doomed.reverse()) if (names.includes(name)) await files.remove(`${dir}/${name}`)
  await files.syncDir(dir)
  const endOffset = target ? await cutSegment(context, target, offset) : offset
  const epochs = new EpochTable(manifest.epochs)
  // Above every epoch that was ever used, also of records that are cut: an epoch never means two things.
  const nextEpoch = epochs.latest + 1
  epochs.cutAt(endOffset)
  epochs.begin(nextEpoch, endOffset)
  await writeManifest(files, dir, {
    ...manifest,
    startOffset: Math.min(manifest.startOffset, endOffset),
    sealed: manifest.sealed.filter((segment) => segment.endOffset <= (target?.baseOffset ?? 0)),
    epochs: epochs.entries,
    active: target?.baseOffset ?? null,
    activeSinceMs: undefined,
    checkpoint: null,
    truncateTo: null,
    compactedTo: Math.min(manifest.compactedTo ?? 0, target?.baseOffset ?? 0),
    skippedFrom:
      manifest.skippedFrom !== undefined && manifest.skippedFrom < endOffset ? manifest.skippedFrom : undefined,
  })
}

async function cutSegment(context: TruncationContext, target: SegmentFile, offset: number): Promise<number> {
  const segment = new Segment({ ...context, ...target })
  try {
    return await segment.use(async (file) => {
      let keep = { position: 0, endOffset: target.baseOffset }
      const range = { fromPosition: 0, fromOffset: target.baseOffset, toPosition: await file.size() }
      await scanSegment(file, range, (header, position) => {
        if (nextOffsetOf(header) > offset || keep.position !== position) return
        keep = { position: position + header.sizeBytes, endOffset: nextOffsetOf(header) }
      })
      if (target.compacted) {
        await copyFront(context, file, target.baseOffset, keep.position)
      } else {
        await file.truncate(keep.position)
        await file.sync()
      }
      return keep.endOffset
    })
  } finally {
    await segment.retire()
  }
}

/** What was compacted is not written to again, so its front becomes an ordinary segment. */
async function copyFront({ files, dir }: TruncationContext, from: OpenFile, baseOffset: number, sizeBytes: number) {
  const name = segmentName(baseOffset)
  const temporary = `${dir}/${unfinishedName(name)}`
  if (await files.stat(temporary)) await files.remove(temporary)
  const to = await files.open(temporary, 'create')
  try {
    for (let at = 0; at < sizeBytes; at += COPY_BYTES) {
      const piece = new Uint8Array(Math.min(COPY_BYTES, sizeBytes - at))
      await writeFully(to, [piece.subarray(0, await readFully(from, piece, at))], at, temporary)
    }
    await to.sync()
  } finally {
    await to.close()
  }
  await files.rename(temporary, `${dir}/${name}`)
  await files.syncDir(dir)
}
