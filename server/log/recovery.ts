/**
 * Opens what a log left behind, after an orderly close or after a crash at any moment.
 *
 * The manifest names the complete segments; only what was written after its checkpoint is scanned. Reading decides
 * everything. What is changed here: a torn tail is cut, a truncation or a deletion that had begun is finished, and what is
 * not known to be durable is made so (write-again.ts).
 *
 *  - Bad bytes that a crash can explain (they begin beyond every point known to be durable) end the log: cut, reported.
 *  - Anything else is a fault: the log is opened offline, what lies before is served, and no file is touched.
 *  - Indexes, snapshots and the manifest itself are caches; if one is lost it is made anew from the segments.
 */
import type { BatchHeader } from '../../protocol/record-batch.ts'
import type { Files } from '../storage/files.ts'
import { readWholeFile } from '../storage/files.ts'
import { EpochTable } from './epoch-table.ts'
import type { RecoveryReport } from './log-fault.ts'
import { makeFault } from './log-fault.ts'
import type { SegmentFile } from './log-names.ts'
import { indexName, segmentFiles, segmentName, segmentNameOf, snapshotOffsets } from './log-names.ts'
import type { CleanMarker, Manifest } from './manifest.ts'
import { readCleanMarker, readManifest } from './manifest.ts'
import type { OpenFileLimit } from './open-file-limit.ts'
import { ProducerReplay } from './producer-replay.ts'
import type { EndedTransaction, ProducerTable } from './producer-state.ts'
import { Segment } from './segment.ts'
import { chainOf, chainWithoutManifest } from './segment-chain.ts'
import { scanSegment } from './segment-scan.ts'
import { SparseIndex } from './sparse-index.ts'
import { readSyncPoint } from './sync-point.ts'
import { judgeTail } from './torn-tail.ts'
import { finishTruncation } from './truncation.ts'
import { writeAgain } from './write-again.ts'

export interface RecoveryContext {
  files: Files
  dir: string
  limit: OpenFileLimit
  nowMs: number
}

export interface RecoveredLog {
  /** In order; the last is the one to write to, unless it is sealed or there is none. */
  segments: Segment[]
  startOffset: number
  endOffset: number
  epochs: EpochTable
  producers: ProducerTable
  /** Offsets at which a producer snapshot exists. */
  snapshots: number[]
  /** The one that the manifest names, if index and snapshot for it are there. */
  checkpoint: { baseOffset: number; position: number; endOffset: number } | undefined
  syncCounter: number
  compactedTo: number
  skippedFrom: number | undefined
  report: RecoveryReport
}

const EMPTY_MANIFEST: Manifest = {
  version: 1,
  startOffset: 0,
  epochs: [],
  sealed: [],
  active: null,
  checkpoint: null,
  truncateTo: null,
}

/** Where the first unsealed segment is scanned from, and its index up to there. */
interface ScanStart {
  fromPosition: number
  fromOffset: number
  index: SparseIndex
}

export async function recoverLog(context: RecoveryContext): Promise<RecoveredLog> {
  return new Recovery(context).run()
}

class Recovery {
  readonly #context: RecoveryContext
  readonly #report: RecoveryReport = {
    isNew: false,
    isClean: false,
    segments: 0,
    scannedBytes: 0,
    cut: undefined,
    rebuilt: [],
    removed: [],
    fault: undefined,
  }
  #names: string[] = []
  #manifest: Manifest = EMPTY_MANIFEST
  /** Segments that the manifest does not call complete. */
  #written: SegmentFile[] = []
  #leftOver: string[] = []
  #marker: CleanMarker | undefined
  #segments: Segment[] = []
  #epochs = new EpochTable()
  #producers!: ProducerReplay
  /** The log must not end before this: it was durable. */
  #knownEnd = 0
  #knownPosition = { baseOffset: -1, position: 0 }
  #syncCounter = 0
  #checkpoint: RecoveredLog['checkpoint']

  constructor(context: RecoveryContext) {
    this.#context = context
  }

  async run(): Promise<RecoveredLog> {
    try {
      return await this.#recover()
    } catch (error) {
      // The disk failed halfway: nobody will use what is open by now.
      await Promise.allSettled(this.#segments.map((segment) => segment.retire()))
      throw error
    }
  }

  async #recover(): Promise<RecoveredLog> {
    const { files, dir } = this.#context
    await this.#findManifest()
    this.#findSegments()
    this.#marker = await readCleanMarker(files, dir)
    await this.#learnWhatIsDurable()
    this.#epochs = new EpochTable(this.#manifest.epochs)
    await this.#openSealed()
    await this.#removeLeftOvers()
    this.#producers = this.#newReplay()
    await this.#producers.loadNewest()
    const isClean = await this.#openClean()
    if (!isClean) {
      const start = (await this.#resumeAtCheckpoint()) ?? this.#fromStartOf(this.#manifest.active ?? this.#sealedEnd)
      await this.#producers.loadUpTo(start.fromOffset)
      await this.#replaySealed()
      await this.#scanUnsealed(start)
    }
    return this.#finish(isClean)
  }

  async #findManifest(): Promise<void> {
    const { files, dir } = this.#context
    this.#names = await files.list(dir)
    let found = await readManifest(files, dir)
    if (found.state === 'read' && found.manifest.truncateTo !== null) {
      await finishTruncation(this.#context, found.manifest, found.manifest.truncateTo, this.#names)
      this.#names = await files.list(dir)
      found = await readManifest(files, dir)
    }
    if (found.state === 'read') {
      this.#manifest = found.manifest
      return
    }
    const first = segmentFiles(this.#names)[0]?.baseOffset
    this.#report.isNew = found.state === 'absent' && first === undefined
    if (this.#report.isNew) return
    this.#report.rebuilt.push(`manifest (${found.state})`)
    this.#manifest = { ...EMPTY_MANIFEST, startOffset: first ?? 0, active: first ?? null }
  }

  #findSegments(): void {
    const isManifestLost = this.#report.rebuilt.length > 0
    const chain = isManifestLost
      ? { written: chainWithoutManifest(this.#names), leftOver: [] }
      : chainOf(this.#names, this.#manifest)
    this.#written = chain.written
    this.#leftOver = chain.leftOver
  }

  async #learnWhatIsDurable(): Promise<void> {
    const { sealed, active, checkpoint } = this.#manifest
    this.#knownEnd = Math.max(sealed.at(-1)?.endOffset ?? 0, checkpoint?.endOffset ?? 0, this.#marker?.endOffset ?? 0)
    if (active !== null && checkpoint) this.#knownPosition = { baseOffset: active, position: checkpoint.position }
    if (this.#marker && this.#marker.active !== null) {
      this.#knownPosition = { baseOffset: this.#marker.active, position: this.#marker.sizeBytes }
    }
    const point = await readSyncPoint(this.#context.files, this.#context.dir)
    if (!point) return
    this.#syncCounter = point.counter
    if (point.endOffset <= this.#knownEnd) return
    this.#knownEnd = point.endOffset
    this.#knownPosition = { baseOffset: point.baseOffset, position: point.position }
  }

  /** Files of a deletion or a compaction that a crash cut short: those that the manifest names instead are all there. */
  async #removeLeftOvers(): Promise<void> {
    if (this.#report.fault) return
    for (const name of this.#leftOver) {
      await this.#context.files.remove(`${this.#context.dir}/${name}`)
      this.#report.removed.push(name)
    }
  }

  async #openSealed(): Promise<void> {
    const { files } = this.#context
    const found = await Promise.all(
      this.#manifest.sealed.map((sealed) => files.stat(`${this.#context.dir}/${segmentNameOf(sealed)}`)),
    )
    this.#manifest.sealed.forEach((sealed, index) => {
      const segment = this.#newSegment(sealed)
      segment.seal(sealed)
      this.#segments.push(segment)
      const sizeBytes = found[index]?.sizeBytes
      if (sizeBytes === sealed.sizeBytes) return
      const what =
        sizeBytes === undefined
          ? 'the file is missing'
          : `the file has ${sizeBytes} bytes, ${sealed.sizeBytes} were written`
      this.#report.fault ??= makeFault('missing', segment.name, undefined, sealed.baseOffset, what)
    })
  }

  #newSegment({ baseOffset, compacted }: SegmentFile): Segment {
    const { files, dir, limit } = this.#context
    return new Segment({ files, dir, limit, baseOffset, compacted })
  }

  get #sealedEnd(): number {
    return this.#segments.at(-1)?.endOffset ?? this.#manifest.active ?? this.#manifest.startOffset
  }

  #newReplay(): ProducerReplay {
    const { files, dir, nowMs } = this.#context
    const onDamaged = (name: string) => this.#report.rebuilt.push(name)
    return new ProducerReplay({ files, dir, nowMs, snapshots: snapshotOffsets(this.#names), onDamaged })
  }

  /** Closed in order, and what was written at closing is all there: nothing is scanned. */
  async #openClean(): Promise<boolean> {
    const marker = this.#marker
    if (!marker || marker.active !== this.#manifest.active || this.#report.fault) return false
    if (this.#producers.from !== marker.endOffset && marker.endOffset > 0) return false
    if (marker.active === null) return marker.endOffset === this.#sealedEnd
    const segment = this.#newSegment({ baseOffset: marker.active })
    const bounds = { baseOffset: marker.active, endOffset: marker.endOffset, sizeBytes: marker.sizeBytes }
    const found = await this.#context.files.stat(segment.path)
    if (found?.sizeBytes !== marker.sizeBytes) return false
    const index = await this.#readIndex(segment, bounds)
    if (!index) {
      this.#report.rebuilt.push(indexName(marker.active))
      return false
    }
    Object.assign(segment, {
      endOffset: bounds.endOffset,
      sizeBytes: bounds.sizeBytes,
      maxTimestamp: index.maxTimestamp,
    })
    segment.index = index
    segment.writtenMs = this.#context.nowMs
    segment.sinceMs = this.#manifest.activeSinceMs
    this.#segments.push(segment)
    this.#checkpoint = { baseOffset: marker.active, position: marker.sizeBytes, endOffset: marker.endOffset }
    return true
  }

  async #readIndex(segment: Segment, bounds: Segment['bounds']): Promise<SparseIndex | undefined> {
    const bytes = await readWholeFile(this.#context.files, segment.indexPath)
    return bytes && SparseIndex.decode(bytes, bounds)
  }

  async #scanUnsealed(start: ScanStart): Promise<void> {
    const { active } = this.#manifest
    const sealedEnd = this.#sealedEnd
    const chain = this.#written
    if (active !== null && chain[0]?.baseOffset !== active) {
      const what = 'the file is missing'
      this.#report.fault ??= makeFault('missing', segmentName(active), undefined, sealedEnd, what)
      return
    }
    let expected = active ?? sealedEnd
    for (const [index, file] of chain.entries()) {
      const { baseOffset } = file
      if (baseOffset !== expected) {
        const what = `the log before it ends at offset ${expected}, ${baseOffset - expected} offsets are missing`
        this.#report.fault ??= makeFault('gap', segmentNameOf(file), undefined, expected, what)
        return
      }
      const segment = this.#newSegment(file)
      if (baseOffset === active) segment.sinceMs = this.#manifest.activeSinceMs
      this.#segments.push(segment)
      const from = index === 0 ? start : this.#fromStartOf(baseOffset)
      const isLast = index === chain.length - 1
      const isWhole = await this.#scan(segment, from, isLast && !file.compacted)
      if (!isWhole) return
      // What compaction wrote is complete, and never written to again.
      segment.isSealed = !isLast || file.compacted !== undefined
      if (segment.isSealed) this.#context.limit.touch(segment)
      expected = segment.endOffset
    }
  }

  /** Returns false when the segment has a fault. */
  async #scan(segment: Segment, from: ScanStart, isLast: boolean): Promise<boolean> {
    const sizeBytes = (await this.#context.files.stat(segment.path))?.sizeBytes ?? 0
    const { index, ...range } = from
    segment.index = index
    return segment.use(async (file) => {
      const result = await scanSegment(file, { ...range, toPosition: sizeBytes }, (header, position, bytes, at) => {
        index.add(header.baseOffset, position, header.maxTimestamp)
        const aborted = this.#replay(header, bytes, at)
        if (aborted) index.aborted.add(aborted)
      })
      this.#report.scannedBytes += result.position - range.fromPosition
      Object.assign(segment, {
        sizeBytes: result.position,
        endOffset: result.endOffset,
        maxTimestamp: index.maxTimestamp,
        writtenMs: this.#context.nowMs,
      })
      const known = this.#knownPosition.baseOffset === segment.baseOffset ? this.#knownPosition.position : 0
      // It is called durable from here on.
      const harden = () => writeAgain(file, segment.path, known, result.position)
      if (!result.stop) {
        if (isLast) await harden()
        return true
      }
      const verdict = await judgeTail(file, segment, result.stop, { sizeBytes, knownPosition: known, isLast })
      if (verdict.fault) this.#report.fault ??= verdict.fault
      if (verdict.fault || this.#report.fault) return false
      if (segment.endOffset < this.#knownEnd) return true
      this.#report.cut = verdict.cut
      await file.truncate(result.position)
      await harden()
      return true
    })
  }

  #fromStartOf(baseOffset: number): ScanStart {
    return { fromPosition: 0, fromOffset: baseOffset, index: new SparseIndex() }
  }

  /** Needs index and producer snapshot as they were there; with one of them lost the whole segment is scanned. */
  async #resumeAtCheckpoint(): Promise<ScanStart | undefined> {
    const { checkpoint, active } = this.#manifest
    if (!checkpoint || active === null) return undefined
    const segment = this.#newSegment({ baseOffset: active })
    const { position, endOffset } = checkpoint
    const sizeBytes = (await this.#context.files.stat(segment.path))?.sizeBytes ?? 0
    if (sizeBytes < position || !(await this.#producers.loadAt(endOffset))) return undefined
    const index = await this.#readIndex(segment, { baseOffset: active, endOffset, sizeBytes: position })
    if (!index) {
      this.#report.rebuilt.push(indexName(active))
      return undefined
    }
    this.#checkpoint = { baseOffset: active, ...checkpoint }
    return { fromPosition: position, fromOffset: endOffset, index }
  }

  #replay(header: BatchHeader, bytes: Uint8Array, at: number): EndedTransaction | undefined {
    this.#epochs.begin(header.leaderEpoch, header.baseOffset)
    return this.#producers.replay(header, bytes, at)
  }

  /** No snapshot reaches up to where the scan will begin: the sealed segments in between are read as well. */
  async #replaySealed(): Promise<void> {
    for (const segment of this.#segments) {
      if (segment.endOffset <= this.#producers.from || this.#report.fault) continue
      if (!this.#report.rebuilt.includes('producer state')) this.#report.rebuilt.push('producer state')
      const range = { fromPosition: 0, fromOffset: segment.baseOffset, toPosition: segment.sizeBytes }
      const result = await segment.use((file) =>
        scanSegment(file, range, (header, _position, bytes, at) => void this.#replay(header, bytes, at)),
      )
      this.#report.scannedBytes += result.position
      if (!result.stop) continue
      const what = `a damaged batch (${result.stop.reason})`
      this.#report.fault = makeFault('corrupt', segment.name, result.stop.position, result.endOffset, what)
    }
  }

  #finish(isClean: boolean): RecoveredLog {
    const endOffset = this.#sealedEnd
    const report = this.#report
    if (endOffset < this.#knownEnd) {
      const what = `the log ends at offset ${endOffset}, but was durable up to ${this.#knownEnd}`
      report.fault ??= makeFault('gap', this.#segments.at(-1)?.name ?? this.#context.dir, undefined, endOffset, what)
    }
    report.isClean = isClean
    report.segments = this.#segments.length
    if (report.isNew) this.#epochs.begin(0, 0)
    else if (!isClean) this.#epochs.begin(this.#epochs.latest + 1, endOffset)
    return {
      segments: this.#segments,
      startOffset: this.#manifest.startOffset,
      // A damaged log doesn't look shorter than it was: what is missing is refused as damage, not as out of range.
      endOffset: report.fault ? Math.max(endOffset, this.#knownEnd) : endOffset,
      epochs: this.#epochs,
      producers: this.#producers.finish(endOffset),
      snapshots: snapshotOffsets(this.#names),
      checkpoint: this.#checkpoint,
      syncCounter: this.#syncCounter,
      compactedTo: this.#manifest.compactedTo ?? 0,
      skippedFrom: this.#manifest.skippedFrom,
      report,
    }
  }
}
