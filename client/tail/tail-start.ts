/** Where a tail begins. */

/**
 * 'end': what is written from now on. 'beginning': the first record there is. { offset }: in every partition.
 * { last: N }: the N newest records by timestamp over the partitions read, oldest first, then what follows.
 */
export type TailPosition = 'end' | 'beginning' | { offset: number } | { last: number }

const FROM_END = -1
const FROM_START = -2

/** The offset to ask for first. The last N are counted back from the end, once it is known. */
export function firstOffset(from: TailPosition): number {
  if (from === 'beginning') return FROM_START
  return typeof from === 'object' && 'offset' in from ? from.offset : FROM_END
}

export const lastCount = (from: TailPosition): number => (typeof from === 'object' && 'last' in from ? from.last : 0)
