/**
 * The names of a log's files. A segment is named by its first offset, 20 digits, so that names sort as offsets do. One that
 * compaction wrote is named by its first offset, the one after its last, and its generation: it stands beside those that it
 * replaces until the manifest names it instead of them, and says itself what it replaces.
 */
export const MANIFEST_NAME = 'manifest'
export const CLEAN_MARKER_NAME = 'clean'
const DIGITS = 20

const padded = (offset: number): string => String(offset).padStart(DIGITS, '0')
const stem = ({ baseOffset, compacted }: SegmentFile): string =>
  compacted ? `${padded(baseOffset)}-${padded(compacted.endOffset)}-${compacted.generation}` : padded(baseOffset)

export interface SegmentFile {
  baseOffset: number
  /** Absent while the batches are as they were appended. `generation` grows with each time. */
  compacted?: { endOffset: number; generation: number }
}

export const segmentNameOf = (file: SegmentFile): string => `${stem(file)}.log`
export const indexNameOf = (file: SegmentFile): string => `${stem(file)}.index`
export const segmentName = (baseOffset: number): string => segmentNameOf({ baseOffset })
export const indexName = (baseOffset: number): string => indexNameOf({ baseOffset })
export const snapshotName = (endOffset: number): string => `${padded(endOffset)}.snapshot`
/** A segment that is being written as a whole, by compaction. */
export const unfinishedName = (name: string): string => `${name}.new`

const SEGMENT = /^(\d{20})(?:-(\d{20})-(\d+))?\.log$/
const SNAPSHOT = /^(\d{20})\.snapshot$/

/** The segments among `names`, by first offset. */
export function segmentFiles(names: readonly string[]): SegmentFile[] {
  const files = names.flatMap((name): SegmentFile[] => {
    const match = SEGMENT.exec(name)
    if (!match) return []
    const baseOffset = Number(match[1])
    if (match[3] === undefined) return [{ baseOffset }]
    return [{ baseOffset, compacted: { endOffset: Number(match[2]), generation: Number(match[3]) } }]
  })
  return files.sort((a, b) => a.baseOffset - b.baseOffset)
}

export const unfinishedSegments = (names: readonly string[]): string[] =>
  names.filter((name) => name.endsWith('.log.new'))

/** End offsets of the producer snapshots among `names`, ascending. */
export const snapshotOffsets = (names: readonly string[]): number[] =>
  names
    .flatMap((name) => SNAPSHOT.exec(name)?.[1] ?? [])
    .map(Number)
    .sort((a, b) => a - b)
