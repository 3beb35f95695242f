/**
 * Of a frame for some keys: whether its batches and the ranges that it says were left out cover every offset from the
 * position up to its end. What is in neither would be a loss that nobody has told of.
 */
import { batchesIn, nextOffsetOf } from '../../protocol/record-batch.ts'
import type { DeliveredFrame } from '../session.ts'

type Covered = Pick<DeliveredFrame, 'records' | 'skipped' | 'nextOffset'>

/** The first hole, as a text; null when there is none. The records have been checked to be batches in order. */
export function findUntold({ records, skipped = [], nextOffset: end }: Covered, position: number): string | null {
  let at = position
  const ranges = skipped[Symbol.iterator]()
  let range = ranges.next()
  const skip = () => {
    for (; !range.done && range.value.from <= at; range = ranges.next()) at = Math.max(at, range.value.to)
  }
  for (const { header } of batchesIn(records)) {
    skip()
    if (header.baseOffset > at) return hole(at, Math.min(header.baseOffset, range.value?.from ?? header.baseOffset))
    at = Math.max(at, nextOffsetOf(header))
  }
  skip()
  return at < end ? hole(at, range.value?.from ?? end) : null
}

const hole = (from: number, to: number) => `offsets ${from} to ${to - 1} are neither there nor said to be left out`
