/**
 * One pass over a log: notes the newest offset of each key written since the last pass (key-scan.ts), then goes through the
 * log from its beginning and takes out what is outdated (batch-filter.ts).
 *
 * Segments are replaced a few at a time, from the front: neighbours that are small enough become one. A segment of which
 * everything stays is not written. Each replacement stands by itself: a crash between two leaves a log that says the same,
 * and the next pass does the rest.
 */
import type { BatchHeader } from '../../../protocol/record-batch.ts'
import type { OpenFile } from '../../storage/files.ts'
import { isGap } from '../gaps.ts'
import type { Segment } from '../segment.ts'
import { BatchFilter } from './batch-filter.ts'
import { streamBatches } from './batch-stream.ts'
import { CompactedFile } from './compacted-file.ts'
import type { OffsetMap } from './offset-map.ts'
import type { PassContext } from './pass-context.ts'

const GROUP_OFFSETS_MAX = 2_147_483_647

export interface PassResult {
  recordsRemoved: number
  segmentsWritten: number
}

/** All keys between the last pass and `mapEnd` are in the map. */
export async function compactUpTo(context: PassContext, map: OffsetMap, mapEnd: number): Promise<PassResult> {
  const pass = new Pass(context, new BatchFilter(context, map, mapEnd))
  return pass.run(mapEnd)
}

class Pass {
  readonly #context: PassContext
  readonly #filter: BatchFilter
  #segmentsWritten = 0

  constructor(context: PassContext, filter: BatchFilter) {
    this.#context = context
    this.#filter = filter
  }

  async run(mapEnd: number): Promise<PassResult> {
    let left = this.#context.state.segments.filter(({ baseOffset, isSealed }) => isSealed && baseOffset < mapEnd)
    while (left.length > 0) {
      const group = this.#takeGroup(left)
      const backToHere = this.#filter.bookmark()
      const damaged = await this.#compactGroup(group)
      // Without the damaged segment, and those behind it, the group is tried once more.
      if (damaged && damaged !== group[0]) backToHere()
      const done = damaged ? Math.max(1, group.indexOf(damaged)) : group.length
      const isToRepeat = damaged !== undefined && damaged !== group[0]
      left = isToRepeat ? left : left.slice(done)
    }
    return { recordsRemoved: this.#filter.recordsRemoved, segmentsWritten: this.#segmentsWritten }
  }

  /** As many as fit into one segment. One that cannot be read stands alone. */
  #takeGroup(segments: readonly Segment[]): Segment[] {
    const { config, skips } = this.#context
    const group: Segment[] = []
    let sizeBytes = 0
    for (const segment of segments) {
      const first = group[0] ?? segment
      sizeBytes += segment.sizeBytes
      const fits = sizeBytes <= config.segmentBytes && segment.endOffset - first.baseOffset <= GROUP_OFFSETS_MAX
      if (group.length > 0 && (!fits || skips.hasSegment(segment))) break
      group.push(segment)
      if (skips.hasSegment(segment)) break
    }
    return group
  }

  /** Returns the segment that could not be read, if there was one: then nothing has changed. */
  async #compactGroup(group: readonly Segment[]): Promise<Segment | undefined> {
    const { skips, files, dir, limit, pace } = this.#context
    const only = group.length === 1 ? group[0]! : undefined
    if (only && skips.hasSegment(only)) return only
    const mayShrink = (header: BatchHeader) => this.#filter.mayShrink(header)
    const file = new CompactedFile({ files, dir, limit, replaced: group, pace, mayShrink })
    const output = new Output(file, this.#context, this.#filter)
    try {
      // What is joined is written in any case.
      if (!only) await output.begin()
      for (const segment of group) {
        try {
          await output.take(segment)
        } catch (error) {
          skips.segment(segment, error)
          await output.abandon()
          return segment
        }
      }
      if (output.isBegun) await this.#replace(group, output)
      else only!.horizonMs = output.horizonMs
      return undefined
    } catch (error) {
      await output.abandon().catch(() => {})
      throw error
    }
  }

  async #replace(group: readonly Segment[], output: Output): Promise<void> {
    const replacement = await output.finish()
    this.#context.replace(group, replacement)
    output.release()
    this.#segmentsWritten++
    await this.#context.nameReplacements()
  }
}

/** The replacement of a group. A lone segment's is begun at the first batch that changes. */
class Output {
  readonly #file: CompactedFile
  readonly #context: PassContext
  readonly #filter: BatchFilter
  isBegun = false
  /** Of batches that stay as they are in a segment that is not written. */
  horizonMs: number | undefined

  constructor(file: CompactedFile, context: PassContext, filter: BatchFilter) {
    this.#file = file
    this.#context = context
    this.#filter = filter
  }

  async begin(): Promise<void> {
    this.isBegun = true
    await this.#file.begin()
  }

  async take(segment: Segment): Promise<void> {
    const { pace, indexOf } = this.#context
    const abortedAt = new Map<number, Parameters<CompactedFile['noteAborted']>[0]>()
    if (segment.abortedFrom !== Number.POSITIVE_INFINITY) {
      for (const aborted of (await indexOf(segment)).aborted.entries()) abortedAt.set(aborted.lastOffset, aborted)
    }
    const keep = async (header: BatchHeader, bytes: Uint8Array) => {
      await this.#file.add(bytes)
      const aborted = abortedAt.get(header.baseOffset)
      if (aborted) this.#file.noteAborted(aborted)
    }
    await segment.use(async (file) => {
      for await (const batch of streamBatches(file, segment, pace)) {
        const { header } = batch
        const filtered = await this.#filter.filter(batch)
        const isNews = filtered.outcome === 'changed' || (filtered.outcome === 'gone' && filtered.isNews)
        if (!this.isBegun && isNews) await this.#beginBehind(segment, file, batch.position, keep)
        if (!this.isBegun) this.#noteHorizon(header)
        else if (filtered.outcome === 'gone') await this.#file.drop(header)
        else await keep(header, filtered.outcome === 'changed' ? filtered.bytes : batch.bytes)
      }
    })
  }

  /** The batches before the first that changes are taken over as they are. */
  async #beginBehind(
    segment: Segment,
    file: OpenFile,
    position: number,
    keep: (header: BatchHeader, bytes: Uint8Array) => Promise<void>,
  ): Promise<void> {
    await this.begin()
    if (position === 0) return
    for await (const { header, bytes, position: at } of streamBatches(file, segment, this.#context.pace)) {
      if (at >= position) return
      if (isGap(header)) await this.#file.drop(header)
      else await keep(header, bytes)
    }
  }

  #noteHorizon(header: BatchHeader): void {
    if (!this.#filter.mayShrink(header)) return
    this.horizonMs = Math.min(this.horizonMs ?? Number.POSITIVE_INFINITY, header.baseTimestamp)
  }

  finish(): Promise<Segment> {
    return this.#file.finish()
  }

  /** It belongs to the log from here on. */
  release(): void {
    this.isBegun = false
  }

  async abandon(): Promise<void> {
    if (this.isBegun) await this.#file.abandon()
  }
}
