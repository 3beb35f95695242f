/** The names of a log's files. A segment is named by its first offset, 20 digits, so that names sort as offsets do. */
export const MANIFEST_NAME = 'manifest'
export const CLEAN_MARKER_NAME = 'clean'
const DIGITS = 20

const padded = (offset: number): string => String(offset).padStart(DIGITS, '0')
export const segmentName = (baseOffset: number): string => `${padded(baseOffset)}.log`
export const indexName = (baseOffset: number): string => `${padded(baseOffset)}.index`
export const snapshotName = (endOffset: number): string => `${padded(endOffset)}.snapshot`

function offsetsNamed(names: readonly string[], suffix: string): number[] {
  const pattern = new RegExp(`^\\d{${DIGITS}}\\.${suffix}$`)
  return names.filter((name) => pattern.test(name)).map((name) => Number(name.slice(0, DIGITS)))
}

/** First offsets of the segments among `names`, ascending. */
export const segmentOffsets = (names: readonly string[]): number[] => offsetsNamed(names, 'log').sort((a, b) => a - b)
/** End offsets of the producer snapshots among `names`, ascending. */
export const snapshotOffsets = (names: readonly string[]): number[] =>
  offsetsNamed(names, 'snapshot').sort((a, b) => a - b)
