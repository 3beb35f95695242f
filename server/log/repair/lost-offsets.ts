/** What is lost, as ranges and as words. */
import type { SegmentPart } from './segment-survey.ts'

/** Offsets from `fromOffset` to before `toOffset` have no records any more. */
export interface LostOffsets {
  fromOffset: number
  toOffset: number
}

export function lostIn(parts: readonly SegmentPart[]): LostOffsets[] {
  const lost: LostOffsets[] = []
  for (const part of parts) {
    if (part.kind !== 'lost' || part.toOffset === part.fromOffset) continue
    const last = lost.at(-1)
    if (last?.toOffset === part.fromOffset) last.toOffset = part.toOffset
    else lost.push({ fromOffset: part.fromOffset, toOffset: part.toOffset })
  }
  return lost
}

export const textOf = (lost: readonly LostOffsets[]): string => {
  const count = lost.reduce((sum, { fromOffset, toOffset }) => sum + toOffset - fromOffset, 0)
  const ranges = lost.map(({ fromOffset, toOffset }) =>
    toOffset === fromOffset + 1 ? `${fromOffset}` : `${fromOffset} to ${toOffset - 1}`,
  )
  const shown = ranges.length > 20 ? [...ranges.slice(0, 20), `${ranges.length - 20} more ranges`] : ranges
  return `offsets ${shown.join(', ')} (${count === 1 ? '1 record' : `up to ${count} records`})`
}
