/**
 * Cuts a log at an offset so that a crash in between leaves it as before or as after. The decision is made durable first,
 * as a manifest that names the cut; every step after that may be repeated, and opening the log repeats them.
 */
import { nextOffsetOf } from '../../protocol/record-batch.ts'
import type { Files } from '../storage/files.ts'
import { EpochTable } from './epoch-table.ts'
import {
  CLEAN_MARKER_NAME,
  indexName,
  segmentName,
  segmentOffsets,
  snapshotName,
  snapshotOffsets,
} from './log-names.ts'
import type { Manifest } from './manifest.ts'
import { writeManifest } from './manifest.ts'
import type { OpenFileLimit } from './open-file-limit.ts'
import { Segment } from './segment.ts'
import { scanSegment } from './segment-scan.ts'
import { SYNC_POINT_NAME } from './sync-point.ts'

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
  const bases = segmentOffsets(names)
  const target = bases.findLast((base) => base <= offset) ?? null
  const doomed = [
    ...bases.filter((base) => base > offset).flatMap((base) => [segmentName(base), indexName(base)]),
    ...snapshotOffsets(names)
      .filter((end) => end > offset)
      .map(snapshotName),
    ...(target === null ? [] : [indexName(target)]),
    CLEAN_MARKER_NAME,
    SYNC_POINT_NAME,
  ]
  // The sync point goes before the data that it vouches for.
  for (const name of doomed.reverse()) if (names.includes(name)) await files.remove(`${dir}/${name}`)
  await files.syncDir(dir)
  const endOffset = target === null ? offset : await cutSegment(context, target, offset)
  const epochs = new EpochTable(manifest.epochs)
  // Above every epoch that was ever used, also of records that are cut: an epoch never means two things.
  const nextEpoch = epochs.latest + 1
  epochs.cutAt(endOffset)
  epochs.begin(nextEpoch, endOffset)
  await writeManifest(files, dir, {
    ...manifest,
    startOffset: Math.min(manifest.startOffset, endOffset),
    sealed: manifest.sealed.filter((segment) => segment.endOffset <= (target ?? 0)),
    epochs: epochs.entries,
    active: target,
    checkpoint: null,
    truncateTo: null,
  })
}

async function cutSegment(context: TruncationContext, baseOffset: number, offset: number): Promise<number> {
  const segment = new Segment({ ...context, baseOffset })
  try {
    return await segment.use(async (file) => {
      let keep = { position: 0, endOffset: baseOffset }
      const range = { fromPosition: 0, fromOffset: baseOffset, toPosition: await file.size() }
      await scanSegment(file, range, (header, position) => {
        if (nextOffsetOf(header) > offset || keep.position !== position) return
        keep = { position: position + header.sizeBytes, endOffset: nextOffsetOf(header) }
      })
      await file.truncate(keep.position)
      await file.sync()
      return keep.endOffset
    })
  } finally {
    await segment.retire()
  }
}
