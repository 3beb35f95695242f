/**
 * Walks a segment from end to end, over damage too: what of its bytes is good, and which offsets are lost in between.
 *
 * A good batch whose offset alone is wrong (it lies outside the checksum) gets it back where its neighbours leave no doubt.
 */
import { nextOffsetOf } from '../../../protocol/record-batch.ts'
import type { OpenFile } from '../../storage/files.ts'
import { type OnBatch, type ScanStop, scanSegment } from '../segment-scan.ts'
import { batchAt, type FoundBatch, findNextBatch } from './next-batch.ts'

/** More than any compressed batch of small records has. */
const RECORDS_PER_BYTE_MAX = 100

export type SegmentPart =
  /** Good batches, as they are. */
  | { kind: 'kept'; position: number; end: number }
  /** A good batch that must have this offset. */
  | { kind: 'moved'; position: number; end: number; baseOffset: number }
  /** Bytes that are no batch, or none that belongs here, and the offsets that went with them; maybe none. */
  | { kind: 'lost'; position: number; end: number; fromOffset: number; toOffset: number }

export interface SurveyRange {
  baseOffset: number
  /** Where the segment must end, or where the next one begins; infinite when nobody knows. */
  belowOffset: number
  /** The log was durable up to here. */
  knownEnd: number
  sizeBytes: number
}

export interface SegmentSurvey {
  parts: SegmentPart[]
  /** After the last good batch, or the last offset that is known to be lost. */
  endOffset: number
  /** What the scan met first. */
  firstStop: ScanStop | undefined
}

export async function surveySegment(file: OpenFile, range: SurveyRange, onBatch: OnBatch): Promise<SegmentSurvey> {
  const { sizeBytes, belowOffset } = range
  const survey: SegmentSurvey = { parts: [], endOffset: range.baseOffset, firstStop: undefined }
  let beyond = sizeBytes
  const scanned: OnBatch = (header, position, ...bytes) => {
    if (nextOffsetOf(header) <= belowOffset) onBatch(header, position, ...bytes)
    else beyond = Math.min(beyond, position)
  }
  for (let position = 0; position < sizeBytes; ) {
    const from = { fromPosition: position, fromOffset: survey.endOffset, toPosition: sizeBytes }
    const result = await scanSegment(file, from, scanned)
    const end = Math.min(result.position, beyond)
    if (end > position) survey.parts.push({ kind: 'kept', position, end })
    if (beyond < sizeBytes) {
      // Good batches, but of offsets that the next segment has.
      survey.parts.push(nothingLost(beyond, sizeBytes, belowOffset))
      survey.endOffset = belowOffset
      return survey
    }
    survey.endOffset = result.endOffset
    position = end
    if (!result.stop) break
    survey.firstStop ??= result.stop
    position = await goOn(file, position, result.stop, survey, range)
  }
  return survey
}

const nothingLost = (position: number, end: number, offset: number): SegmentPart => ({
  ...{ kind: 'lost', position, end },
  ...{ fromOffset: offset, toOffset: offset },
})

/** Says what becomes of the bytes at `position`, where the scan stopped. Returns where to scan on. */
async function goOn(
  file: OpenFile,
  position: number,
  stop: ScanStop,
  survey: SegmentSurvey,
  range: SurveyRange,
): Promise<number> {
  const expected = survey.endOffset
  const moved = stop.reason === 'offset' ? await movedBatch(file, position, expected, range) : undefined
  if (moved) {
    const end = position + moved.header.sizeBytes
    survey.parts.push({ kind: 'moved', position, end, baseOffset: expected })
    survey.endOffset += moved.header.lastOffsetDelta + 1
    return end
  }
  const next = await whereItGoesOn(file, position, expected, range)
  const toOffset = next?.header.baseOffset ?? expected
  const end = next?.position ?? range.sizeBytes
  survey.parts.push({ kind: 'lost', position, end, fromOffset: expected, toOffset })
  survey.endOffset = toOffset
  return end
}

/** The batch at `position` if only its offset is wrong: what follows it fits to `expected` and its length. */
async function movedBatch(file: OpenFile, position: number, expected: number, range: SurveyRange) {
  const { sizeBytes, belowOffset, knownEnd } = range
  const found = await batchAt(file, position, sizeBytes)
  if (!found) return undefined
  const endOffset = expected + found.header.lastOffsetDelta + 1
  const end = position + found.header.sizeBytes
  const isKnownEnd = belowOffset === Number.POSITIVE_INFINITY ? endOffset >= knownEnd : endOffset === belowOffset
  if (end === sizeBytes) return isKnownEnd ? found : undefined
  const next = await batchAt(file, end, sizeBytes)
  return next?.header.baseOffset === endOffset ? found : undefined
}

/** At `position` itself when a good batch stands there and only what should be before it is gone. */
async function whereItGoesOn(
  file: OpenFile,
  position: number,
  expected: number,
  { sizeBytes, belowOffset, knownEnd }: SurveyRange,
): Promise<FoundBatch | undefined> {
  const here = await batchAt(file, position, sizeBytes)
  if (here && here.header.baseOffset > expected && nextOffsetOf(here.header) <= belowOffset) {
    const endOffset = nextOffsetOf(here.header)
    const next = await batchAt(file, position + here.header.sizeBytes, sizeBytes)
    if (next ? next.header.baseOffset === endOffset : [belowOffset, knownEnd].includes(endOffset)) return here
  }
  // Where nobody knows the end an offset must at least be likely: a flipped bit in it would leap far ahead.
  const likelyEnd = Math.max(knownEnd, expected + (sizeBytes - position) * RECORDS_PER_BYTE_MAX)
  const search = { to: sizeBytes, fromOffset: expected, belowOffset: Math.min(belowOffset, likelyEnd) }
  return findNextBatch(file, position, search)
}
