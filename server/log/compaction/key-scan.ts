/**
 * The first half of a pass: reads what was written since the last one and notes where each key stands last.
 *
 * Left out: control batches (they have a type, not a key), aborted transactions, records without a key.
 */
import type { BatchHeader } from '../../../protocol/record-batch.ts'
import { isControl, nextOffsetOf } from '../../../protocol/record-batch.ts'
import type { Segment } from '../segment.ts'
import { blockOf, OpaqueBatch, readable } from './batch-block.ts'
import { streamBatches } from './batch-stream.ts'
import type { OffsetMap } from './offset-map.ts'
import type { PassContext } from './pass-context.ts'
import { RecordCursor } from './record-cursor.ts'

export interface KeyRange {
  from: number
  /** The end of the last segment that may be compacted. */
  upTo: number
}

/** Returns the offset before which every key is in the map: `upTo`, or less when the map is full. */
export async function scanKeys(context: PassContext, map: OffsetMap, range: KeyRange): Promise<number> {
  const segments = context.state.segments.filter(
    ({ baseOffset, endOffset }) => endOffset > range.from && baseOffset < range.upTo,
  )
  for (const segment of segments) {
    const fullAt = await scanSegmentKeys(context, map, range.from, segment)
    if (fullAt !== undefined) return fullAt
  }
  return range.upTo
}

async function scanSegmentKeys(
  context: PassContext,
  map: OffsetMap,
  from: number,
  segment: Segment,
): Promise<number | undefined> {
  const { skips, aborted, pace } = context
  try {
    return await segment.use(async (file) => {
      for await (const { header, bytes } of streamBatches(file, segment, pace)) {
        const hasKeys = header.recordCount > 0 && !isControl(header) && nextOffsetOf(header) > from
        if (!hasKeys || aborted.has(header)) continue
        const fullAt = await noteKeys(context, map, from, header, bytes)
        if (fullAt !== undefined) return fullAt
      }
      return undefined
    })
  } catch (error) {
    skips.segment(segment, error)
    return undefined
  }
}

async function noteKeys(
  { codecs, pace, skips }: PassContext,
  map: OffsetMap,
  from: number,
  header: BatchHeader,
  bytes: Uint8Array,
): Promise<number | undefined> {
  try {
    const block = await blockOf(header, bytes, codecs)
    return await readable(async () => {
      const cursor = new RecordCursor(header, block)
      for (let record = cursor.next(), count = 1; record; record = cursor.next(), count++) {
        if (record.offset >= from && record.key && !map.put(record.key, record.offset)) return record.offset
        if (count % 256 === 0 && pace.isDue) await pace.rest()
      }
      return undefined
    })
  } catch (error) {
    if (!(error instanceof OpaqueBatch)) throw error
    skips.batch(header, error)
    return undefined
  }
}
