/**
 * What a pass could not read and left as it was: a damaged segment, or a batch that nobody can look into. It is said, the
 * rest is compacted, and the next passes try again.
 *
 * Behind the first of them no tombstone and no marker may go: what they end may still stand in there, and would come back.
 */
import type { BatchHeader } from '../../../protocol/record-batch.ts'
import { StorageError } from '../../storage/files.ts'
import type { Segment } from '../segment.ts'
import { SegmentDamage } from './batch-stream.ts'

export class Skips {
  readonly #report: (message: string) => void
  readonly #segments = new Set<Segment>()
  readonly #reported = new Set<number>()
  /** Offset of the first of this pass; infinite when there is none. */
  from = Number.POSITIVE_INFINITY
  /** The same, of earlier passes that has not been made up for. */
  readonly #earlierFrom: number

  constructor(earlierFrom: number | undefined, report: (message: string) => void) {
    this.#earlierFrom = earlierFrom ?? Number.POSITIVE_INFINITY
    this.#report = report
  }

  /** Throws what is not about reading the segment. */
  segment(segment: Segment, error: unknown): void {
    if (!(error instanceof SegmentDamage || error instanceof StorageError)) throw error
    this.#segments.add(segment)
    this.#note(segment.baseOffset, `${segment.path} is left as it is, tried again later: ${error.message}`)
  }

  batch({ baseOffset }: BatchHeader, error: Error): void {
    this.#note(baseOffset, `the batch at offset ${baseOffset} is left as it is: ${error.message}`)
  }

  hasSegment(segment: Segment): boolean {
    return this.#segments.has(segment)
  }

  isBefore(offset: number): boolean {
    return Math.min(this.from, this.#earlierFrom) <= offset
  }

  #note(offset: number, message: string): void {
    this.from = Math.min(this.from, offset)
    if (this.#reported.has(offset)) return
    this.#reported.add(offset)
    this.#report(message)
  }
}
