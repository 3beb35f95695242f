/**
 * What is wrong with a log that nobody has open, and what repair would do about it. Changes nothing.
 *
 * Kept is every batch that can be read; lost are only offsets whose batch cannot. Where the log was durable up to an
 * offset, it does not end before that again.
 */
import { type Files, readWholeFile } from '../../storage/files.ts'
import { type DurablePoint, durablePoint } from '../durable-point.ts'
import { EpochTable } from '../epoch-table.ts'
import {
  CLEAN_MARKER_NAME,
  indexNameOf,
  MANIFEST_NAME,
  type SegmentFile,
  segmentName,
  segmentNameOf,
  snapshotName,
  snapshotOffsets,
} from '../log-names.ts'
import { type Manifest, readManifest, type SealedSegment } from '../manifest.ts'
import { OpenFileLimit } from '../open-file-limit.ts'
import { decodeProducerSnapshot } from '../producer-snapshot.ts'
import { Segment } from '../segment.ts'
import { chainOf, chainWithoutManifest } from '../segment-chain.ts'
import { SYNC_POINT_NAME } from '../sync-point.ts'
import { judgeTail } from '../torn-tail.ts'
import { type Finding, verifyLog } from '../verify.ts'
import { type LostOffsets, lostIn, textOf } from './lost-offsets.ts'
import { type SegmentPart, surveySegment } from './segment-survey.ts'

export interface RepairStep {
  file: string
  /** What is done, and why. */
  message: string
  lost: LostOffsets[]
}

export interface SurveyedSegment extends SegmentFile {
  endOffset: number
  /** undefined: there is no file, all of it is a hole. */
  source: string | undefined
  sealed: SealedSegment | undefined
  parts: SegmentPart[]
  isMended: boolean
}

export interface LogSurvey {
  dir: string
  steps: RepairStep[]
  manifest: Manifest | undefined
  segments: SurveyedSegment[]
  epochs: EpochTable
  startOffset: number
  /** A write that was never finished; opening the log cuts it. */
  tail: { file: string; position: number; end: number } | undefined
  /** Files that the manifest does not name. */
  leftOver: string[]
  /** Caches that are of no use; those that are needed are made anew. */
  toTake: string[]
  /** Indexes of complete segments that are not there. */
  indexesMissing: boolean
  producerIdMax: number
}

export async function surveyLog(files: Files, dir: string): Promise<LogSurvey> {
  return new Survey(files, dir).run()
}

class Survey {
  readonly #files: Files
  readonly #dir: string
  readonly #steps: RepairStep[] = []
  readonly #segments: SurveyedSegment[] = []
  readonly #toTake: string[] = []
  readonly #epochs = new EpochTable()
  readonly #findings: Finding[] = []
  #names: string[] = []
  #manifest: Manifest | undefined
  #durable!: DurablePoint
  #tail: LogSurvey['tail']
  #producerIdMax = -1

  constructor(files: Files, dir: string) {
    this.#files = files
    this.#dir = dir
  }

  async run(): Promise<LogSurvey> {
    for await (const finding of verifyLog(this.#files, this.#dir)) this.#findings.push(finding)
    this.#names = await this.#files.list(this.#dir)
    const found = await readManifest(this.#files, this.#dir)
    this.#manifest = found.state === 'read' ? found.manifest : undefined
    this.#durable = await durablePoint(this.#files, this.#dir, this.#manifest)
    const leftOver = await this.#surveyChain()
    this.#planManifest(found.state)
    const message = 'left over from a deletion, a compaction or a repair; it goes'
    for (const file of leftOver) this.#steps.push({ file, message, lost: [] })
    await this.#planCaches()
    const manifest = this.#manifest
    const epochs = manifest ? new EpochTable(manifest.epochs) : this.#epochs
    return {
      ...{ dir: this.#dir, steps: this.#steps, manifest, segments: this.#segments, epochs },
      startOffset: manifest?.startOffset ?? this.#segments[0]?.baseOffset ?? 0,
      ...{ tail: this.#tail, leftOver, toTake: this.#toTake, producerIdMax: this.#producerIdMax },
      indexesMissing: this.#findings.some(({ file }) => file.endsWith('.index')),
    }
  }

  /** Returns what the log's folder holds besides. */
  async #surveyChain(): Promise<string[]> {
    const manifest = this.#manifest
    const chain = manifest ? chainOf(this.#names, manifest) : undefined
    const files = chain ? [...manifest!.sealed, ...chain.written] : chainWithoutManifest(this.#names)
    const { active } = manifest ?? { active: null }
    let expected = files[0]?.baseOffset ?? manifest?.startOffset ?? 0
    for (const [index, file] of files.entries()) {
      if (file.baseOffset > expected) this.#addHole({ baseOffset: expected }, file.baseOffset)
      const sealed = manifest?.sealed.find(({ baseOffset }) => baseOffset === file.baseOffset)
      const next = files[index + 1]?.baseOffset
      const belowOffset = sealed?.endOffset ?? file.compacted?.endOffset ?? next ?? Number.POSITIVE_INFINITY
      const isThere = this.#names.includes(segmentNameOf(file))
      if (isThere) await this.#surveyFile(file, sealed, belowOffset, index === files.length - 1)
      else this.#addHole(file, belowOffset)
      expected = this.#segments.at(-1)!.endOffset
    }
    if (
      active !== null &&
      !files.some(({ baseOffset }) => baseOffset === active) &&
      this.#durable.endOffset <= expected
    ) {
      const message = 'the file that was to be written to is missing, nothing was in it yet; a new one is begun'
      this.#steps.push({ file: segmentName(active), message, lost: [] })
    }
    this.#closeEnd(expected)
    return chain?.leftOver ?? []
  }

  #addHole(file: SegmentFile, endOffset: number): void {
    const { baseOffset } = file
    const lost = { fromOffset: baseOffset, toOffset: endOffset }
    const parts: SegmentPart[] = [{ kind: 'lost', position: 0, end: 0, ...lost }]
    const { compacted } = file
    this.#segments.push({
      baseOffset,
      compacted,
      endOffset,
      source: undefined,
      sealed: undefined,
      parts,
      isMended: true,
    })
    const message = `the file is missing; ${textOf([lost])} lost, a hole is put in its place`
    this.#steps.push({ file: segmentNameOf(file), message, lost: [lost] })
  }

  async #surveyFile(
    file: SegmentFile,
    sealed: SealedSegment | undefined,
    belowOffset: number,
    isLast: boolean,
  ): Promise<void> {
    const { baseOffset, compacted } = file
    const limit = new OpenFileLimit(1)
    const segment = new Segment({ files: this.#files, dir: this.#dir, baseOffset, compacted, limit })
    segment.isSealed = true
    const sizeBytes = (await this.#files.stat(segment.path))?.sizeBytes ?? 0
    const isWrittenTo = isLast && !sealed && !compacted
    try {
      const surveyed = await segment.use(async (open) => {
        const range = { baseOffset, belowOffset, knownEnd: this.#durable.endOffset, sizeBytes }
        const survey = await surveySegment(open, range, (header) => {
          this.#epochs.begin(header.leaderEpoch, header.baseOffset)
          this.#producerIdMax = Math.max(this.#producerIdMax, header.producerId)
        })
        const { firstStop, parts } = survey
        if (!firstStop || !isWrittenTo) return survey
        segment.endOffset = endBefore(parts, baseOffset)
        const known = this.#durable.baseOffset === baseOffset ? this.#durable.position : 0
        const verdict = await judgeTail(open, segment, firstStop, { sizeBytes, knownPosition: known, isLast })
        if (verdict.fault) return survey
        const { position } = firstStop
        if (verdict.cut) this.#planCut(segment.name, position, sizeBytes, verdict.cut.reason)
        return { ...survey, endOffset: segment.endOffset, parts: parts.filter(({ end }) => end <= position) }
      })
      this.#addSurveyed(file, sealed, belowOffset, surveyed, sizeBytes, isWrittenTo)
    } finally {
      await segment.retire()
    }
  }

  #planCut(file: string, position: number, end: number, reason: string): void {
    this.#tail = { file, position, end }
    const message = `${reason}: an unfinished write of ${end - position} bytes, which nobody was told of, is cut off`
    this.#steps.push({ file, message, lost: [] })
  }

  #addSurveyed(
    file: SegmentFile,
    sealed: SealedSegment | undefined,
    belowOffset: number,
    surveyed: { parts: SegmentPart[]; endOffset: number },
    sizeBytes: number,
    isWrittenTo: boolean,
  ): void {
    const { baseOffset, compacted } = file
    const { parts } = surveyed
    let { endOffset } = surveyed
    // A log that is written to ends where it ends; all others must reach the next.
    const mustReach = isWrittenTo ? this.#durable.endOffset : belowOffset
    if (endOffset < mustReach && mustReach !== Number.POSITIVE_INFINITY) {
      parts.push({ kind: 'lost', position: sizeBytes, end: sizeBytes, fromOffset: endOffset, toOffset: mustReach })
      endOffset = mustReach
    }
    const isMended = parts.some(({ kind }) => kind !== 'kept')
    const source = segmentNameOf(file)
    this.#segments.push({ baseOffset, compacted, endOffset, source, sealed, parts, isMended })
    if (isMended) this.#planMending(source, parts)
  }

  #planMending(file: string, parts: readonly SegmentPart[]): void {
    const lost = lostIn(parts)
    const moved = parts.filter(({ kind }) => kind === 'moved').length
    const said = [
      ...(lost.length > 0
        ? [`${textOf(lost)} cannot be read and are lost; the rest is kept in a new file, with a hole`]
        : []),
      ...(moved > 0 ? [`${moved} batches get back their offset, which their neighbours tell`] : []),
    ]
    if (said.length === 0) said.push('bytes that belong to no batch; all records are kept in a new file')
    this.#steps.push({ file, message: said.join('; '), lost })
  }

  /** The log was durable beyond what is left of it, and no file says so. */
  #closeEnd(expected: number): void {
    if (this.#durable.endOffset <= expected) return
    this.#addHole({ baseOffset: expected }, this.#durable.endOffset)
  }

  #planManifest(state: 'absent' | 'damaged' | 'read'): void {
    if (state === 'read' || this.#segments.length === 0) return
    if (state === 'damaged') this.#toTake.push(MANIFEST_NAME)
    this.#steps.push({ file: MANIFEST_NAME, message: `${state}; made anew from the segments`, lost: [] })
  }

  /** Indexes and snapshots that are not what they should be; of segments that are mended the index is made anew anyway. */
  async #planCaches(): Promise<void> {
    const mended = new Set(this.#segments.filter(({ isMended }) => isMended).map(indexNameOf))
    for (const { file, severity } of this.#findings) {
      const isUseless = file.endsWith('.index')
        ? !mended.has(file)
        : file.endsWith('.snapshot') && severity === 'error' && mended.size === 0
      if (isUseless) this.#remake(file)
    }
    // Those beyond damage stay: they know of producers what the batches no longer tell.
    const endOffset = this.#segments.at(-1)?.endOffset ?? 0
    for (const offset of snapshotOffsets(this.#names)) {
      const bytes = await readWholeFile(this.#files, `${this.#dir}/${snapshotName(offset)}`)
      if (offset > endOffset || !bytes || !decodeProducerSnapshot(bytes, offset)) this.#remake(snapshotName(offset))
    }
    // What they vouch for may be gone, and opening the log makes them anew.
    if (this.#steps.length > 0) {
      for (const name of [CLEAN_MARKER_NAME, SYNC_POINT_NAME]) if (this.#names.includes(name)) this.#toTake.push(name)
    }
  }

  #remake(file: string): void {
    if (this.#steps.some((step) => step.file === file)) return
    if (this.#names.includes(file)) this.#take(file, 'damaged, or not what the log says; made anew from it')
    else this.#steps.push({ file, message: 'missing; made anew from the log', lost: [] })
  }

  #take(file: string, message: string): void {
    if (this.#toTake.includes(file)) return
    this.#toTake.push(file)
    this.#steps.push({ file, message, lost: [] })
  }
}

/** Where the good batches in front end. */
function endBefore(parts: readonly SegmentPart[], baseOffset: number): number {
  const first = parts.find((part) => part.kind !== 'kept')
  if (!first) return baseOffset
  return first.kind === 'lost' ? first.fromOffset : first.baseOffset
}
