/**
 * Which of the files in a log's folder are the log, and which are left over from a retention or a compaction that a crash
 * cut short. The manifest says it. Where that is lost the names do: of two files that hold the same offsets the one of the
 * newer generation, which was complete before it got its name.
 */
import type { SegmentFile } from './log-names.ts'
import { indexNameOf, segmentFiles, segmentNameOf, unfinishedSegments } from './log-names.ts'
import type { Manifest } from './manifest.ts'

export interface SegmentChain {
  /** Segments that the manifest doesn't call complete, in order: the one written to, and what came after it. */
  written: SegmentFile[]
  /** File names, those of indexes too. */
  leftOver: string[]
}

export function chainOf(names: readonly string[], manifest: Manifest): SegmentChain {
  const sealed = new Set(manifest.sealed.map(segmentNameOf))
  const writtenFrom = manifest.active ?? manifest.sealed.at(-1)?.endOffset ?? manifest.startOffset
  const written: SegmentFile[] = []
  const leftOver = unfinishedSegments(names)
  for (const file of segmentFiles(names)) {
    if (sealed.has(segmentNameOf(file))) continue
    if (!file.compacted && file.baseOffset >= writtenFrom) written.push(file)
    else leftOver.push(...[segmentNameOf(file), indexNameOf(file)].filter((name) => names.includes(name)))
  }
  return { written, leftOver }
}

export function chainWithoutManifest(names: readonly string[]): SegmentFile[] {
  const files = segmentFiles(names)
  return files.filter((file) => !files.some((other) => replaces(other, file)))
}

function replaces({ baseOffset, compacted }: SegmentFile, older: SegmentFile): boolean {
  if (!compacted || compacted.generation <= (older.compacted?.generation ?? 0)) return false
  return baseOffset <= older.baseOffset && older.baseOffset < compacted.endOffset
}
