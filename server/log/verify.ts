/**
 * Reads the files of a log that nobody has open and reports every inconsistency. Changes nothing.
 *
 * `error`: acknowledged data is damaged or missing. `warning`: a cache or a left-over that the next start puts right.
 */
import type { BatchHeader } from '../../protocol/record-batch.ts'
import { isControl, lastSequenceOf, nextOffsetOf, sequenceAfter } from '../../protocol/record-batch.ts'
import type { Files } from '../storage/files.ts'
import { readWholeFile } from '../storage/files.ts'
import { type DurablePoint, durablePoint } from './durable-point.ts'
import { Gaps } from './gaps.ts'
import type { SegmentFile } from './log-names.ts'
import { indexNameOf, segmentFiles, segmentNameOf, snapshotName, snapshotOffsets } from './log-names.ts'
import type { Manifest, SealedSegment } from './manifest.ts'
import { readManifest } from './manifest.ts'
import { OpenFileLimit } from './open-file-limit.ts'
import { decodeProducerSnapshot } from './producer-snapshot.ts'
import { Segment } from './segment.ts'
import { chainOf, chainWithoutManifest } from './segment-chain.ts'
import { scanSegment } from './segment-scan.ts'
import { SparseIndex } from './sparse-index.ts'
import { judgeTail } from './torn-tail.ts'
import { TransactionCheck } from './verify-transactions.ts'

export interface Finding {
  severity: 'error' | 'warning'
  file: string
  position?: number
  offset?: number
  message: string
}

export interface VerifiedLog {
  segments: number
  batches: number
  /** Of users: the ends of transactions are not counted. */
  records: number
  bytes: number
  startOffset: number
  endOffset: number
}

/** Yields findings as it meets them; returns what it read. */
export async function* verifyLog(files: Files, dir: string): AsyncGenerator<Finding, VerifiedLog> {
  return yield* new Verification(files, dir).run()
}

interface Written {
  epoch: number
  next: number | undefined
  isCompacted: boolean
  /** After its last batch. */
  endOffset: number
}

interface BatchPlace {
  position: number
  timestampBefore: number
}

class Verification {
  readonly #files: Files
  readonly #dir: string
  readonly #total: VerifiedLog = { segments: 0, batches: 0, records: 0, bytes: 0, startOffset: 0, endOffset: 0 }
  /** `next` is unknown for a producer of whom only a marker was seen. */
  readonly #sequences = new Map<number, Written>()
  readonly #gaps = new Gaps()
  #transactions!: TransactionCheck
  #names: string[] = []
  #durable!: DurablePoint

  constructor(files: Files, dir: string) {
    this.#files = files
    this.#dir = dir
  }

  async *run(): AsyncGenerator<Finding, VerifiedLog> {
    this.#names = await this.#files.list(this.#dir)
    const manifest = yield* this.#checkManifest()
    this.#durable = await durablePoint(this.#files, this.#dir, manifest)
    const chain = manifest ? chainOf(this.#names, manifest) : undefined
    const files: SegmentFile[] = chain ? [...manifest!.sealed, ...chain.written] : chainWithoutManifest(this.#names)
    let expected = files[0]?.baseOffset ?? 0
    this.#total.startOffset = manifest?.startOffset ?? expected
    this.#transactions = new TransactionCheck(expected, this.#gaps)
    yield* this.#checkNames(manifest, chain?.leftOver ?? [])
    const present = files.filter((file) => this.#names.includes(segmentNameOf(file)))
    for (const [index, file] of present.entries()) {
      const { baseOffset } = file
      if (baseOffset !== expected) {
        const message = `offsets ${expected} to ${baseOffset - 1} are missing before this segment`
        yield { severity: 'error', file: segmentNameOf(file), offset: expected, message }
      }
      const sealed = manifest?.sealed.find((segment) => segment.baseOffset === baseOffset)
      expected = yield* this.#checkSegment(file, sealed, index === present.length - 1, manifest)
    }
    this.#total.endOffset = expected
    if (expected < this.#durable.endOffset) {
      const message = `the log ends at offset ${expected}, but was durable up to ${this.#durable.endOffset}`
      yield { severity: 'error', file: this.#dir, offset: expected, message }
    }
    yield* this.#checkSnapshots(expected)
    return this.#total
  }

  async *#checkManifest(): AsyncGenerator<Finding, Manifest | undefined> {
    const found = await readManifest(this.#files, this.#dir)
    if (found.state === 'read') {
      let previous = -1
      for (const [epoch, start] of found.manifest.epochs) {
        if (epoch <= previous) {
          const message = `leader epoch ${epoch} (from offset ${start}) follows epoch ${previous}`
          yield { severity: 'error', file: 'manifest', message }
        }
        previous = epoch
      }
      return found.manifest
    }
    if (segmentFiles(this.#names).length > 0) {
      yield { severity: 'warning', file: 'manifest', message: `${found.state}; the next start makes it anew` }
    }
    return undefined
  }

  async *#checkNames(manifest: Manifest | undefined, leftOver: readonly string[]): AsyncGenerator<Finding> {
    const named: SegmentFile[] = [...(manifest?.sealed ?? [])]
    if (manifest && manifest.active !== null) named.push({ baseOffset: manifest.active })
    for (const segment of named) {
      const file = segmentNameOf(segment)
      if (this.#names.includes(file)) continue
      const message = 'the manifest names this segment, the file is missing'
      yield { severity: 'error', file, offset: segment.baseOffset, message }
    }
    for (const file of leftOver) {
      const message = 'left over from a deletion or a compaction; the next start removes it'
      yield { severity: 'warning', file, message }
    }
  }

  /** Returns the offset after the segment's last good batch. */
  async *#checkSegment(
    segmentFile: SegmentFile,
    sealed: SealedSegment | undefined,
    isLast: boolean,
    manifest: Manifest | undefined,
  ): AsyncGenerator<Finding, number> {
    const { baseOffset, compacted } = segmentFile
    const limit = new OpenFileLimit(1)
    const segment = new Segment({ files: this.#files, dir: this.#dir, baseOffset, compacted, limit })
    segment.isSealed = true
    const sizeBytes = (await this.#files.stat(segment.path))?.sizeBytes ?? 0
    const findings: Finding[] = []
    const places = new Map<number, BatchPlace>()
    this.#transactions.beginSegment(segment)
    try {
      const range = { fromPosition: 0, fromOffset: baseOffset, toPosition: sizeBytes }
      const result = await segment.use((file) =>
        scanSegment(file, range, (header, position, bytes, at) => {
          places.set(header.baseOffset, { position, timestampBefore: segment.maxTimestamp })
          segment.maxTimestamp = Math.max(segment.maxTimestamp, header.maxTimestamp)
          const place = { file: segment.name, position, offset: header.baseOffset }
          const wrong = [this.#checkSequence(header, segment), this.#transactions.batch(header, bytes, at)]
          for (const found of wrong) if (found) findings.push({ ...found, ...place })
        }),
      )
      yield* findings
      Object.assign(segment, { sizeBytes: result.position, endOffset: result.endOffset })
      if (result.stop) {
        const known = this.#durable.baseOffset === baseOffset ? this.#durable.position : 0
        const { stop } = result
        const facts = { sizeBytes, knownPosition: known, isLast: isLast && !sealed && !compacted }
        const verdict = await segment.use((file) => judgeTail(file, segment, stop, facts))
        if (verdict.fault) yield { severity: 'error', ...pick(verdict.fault) }
        if (verdict.cut) {
          const { cut } = verdict
          const message = `${cut.reason}: an unfinished write of ${cut.bytes} bytes; the next start cuts it`
          yield { severity: 'warning', file: cut.file, position: cut.position, offset: cut.offset, message }
        }
      }
    } finally {
      await segment.retire()
    }
    this.#total.segments++
    this.#total.bytes += segment.sizeBytes
    if (sealed) {
      yield* compareWithManifest(segment, sealed, sizeBytes)
      yield* this.#transactions.manifest(sealed)
    }
    yield* this.#checkIndex(segment, sealed, manifest, places)
    if (compacted && compacted.endOffset !== segment.endOffset) {
      const message = `good batches up to offset ${segment.endOffset}, its name says ${compacted.endOffset}`
      yield { severity: 'error', file: segment.name, offset: segment.endOffset, message }
    }
    return sealed ? Math.max(sealed.endOffset, segment.endOffset) : segment.endOffset
  }

  #checkSequence(header: BatchHeader, { compacted }: Segment): Pick<Finding, 'severity' | 'message'> | undefined {
    const { producerId, producerEpoch, baseSequence } = header
    const isMarker = isControl(header)
    this.#total.batches++
    this.#gaps.note(header)
    if (!isMarker) this.#total.records += header.recordCount
    if (producerId < 0) return undefined
    const known = this.#sequences.get(producerId)
    const isNewEpoch = !known || producerEpoch > known.epoch
    // A marker has no sequence. In an epoch that begins with one, the first is 0.
    if (isMarker && !isNewEpoch) return undefined
    const first = known && !this.#gaps.lieIn(known.endOffset) ? 0 : undefined
    const next = isMarker ? first : sequenceAfter(lastSequenceOf(header), 1)
    const isCompacted = !isMarker && compacted !== undefined
    this.#sequences.set(producerId, { epoch: producerEpoch, next, isCompacted, endOffset: nextOffsetOf(header) })
    if (isNewEpoch || (producerEpoch === known.epoch && baseSequence === (known.next ?? baseSequence))) return undefined
    // Compaction takes out batches, and with them their sequences; so does damage.
    if (compacted || known.isCompacted || this.#gaps.lieIn(known.endOffset)) return undefined
    const message =
      `producer ${producerId} wrote sequence ${baseSequence} in epoch ${producerEpoch}, ` +
      `sequence ${known.next} in epoch ${known.epoch} was next`
    return { severity: 'warning', message }
  }

  async *#checkIndex(
    segment: Segment,
    sealed: SealedSegment | undefined,
    manifest: Manifest | undefined,
    places: Map<number, BatchPlace>,
  ): AsyncGenerator<Finding> {
    const file = indexNameOf(segment)
    const bytes = await readWholeFile(this.#files, segment.indexPath)
    if (!bytes) {
      if (sealed) yield { severity: 'warning', file, message: 'missing; made anew when it is needed' }
      return
    }
    const checkpoint = manifest?.active === segment.baseOffset ? manifest.checkpoint : undefined
    const bounds = checkpoint
      ? { baseOffset: segment.baseOffset, endOffset: checkpoint.endOffset, sizeBytes: checkpoint.position }
      : segment.bounds
    const index = SparseIndex.decode(bytes, bounds)
    if (!index) {
      yield { severity: 'warning', file, message: 'damaged, or not of this extent; made anew when it is needed' }
      return
    }
    for (const entry of index.entries()) {
      const place = places.get(entry.offset)
      if (place?.position === entry.position && place.timestampBefore === entry.timestampBefore) continue
      const message = `the entry for offset ${entry.offset} at byte ${entry.position} points at no such batch`
      yield { severity: 'error', file, position: entry.position, offset: entry.offset, message }
    }
    yield* this.#transactions.index(segment, bounds.endOffset, index)
  }

  async *#checkSnapshots(endOffset: number): AsyncGenerator<Finding> {
    for (const offset of snapshotOffsets(this.#names)) {
      const file = snapshotName(offset)
      const bytes = await readWholeFile(this.#files, `${this.#dir}/${file}`)
      const table = bytes && decodeProducerSnapshot(bytes, offset)
      if (!table) yield { severity: 'warning', file, message: 'damaged; made anew from the log' }
      if (offset > endOffset) {
        yield { severity: 'error', file, offset, message: `taken at offset ${offset}, the log ends at ${endOffset}` }
      }
      if (!table || offset !== endOffset) continue
      yield* this.#transactions.snapshot(file, table)
      for (const entry of table.entries()) {
        const written = this.#sequences.get(entry.producerId)
        const last = entry.batches.at(-1)
        if (written?.next === undefined || !last || sequenceAfter(last.lastSequence, 1) === written.next) continue
        if (this.#gaps.lieIn(written.endOffset)) continue
        const message = `says that producer ${entry.producerId} ended with sequence ${last.lastSequence}, the log says otherwise`
        yield { severity: 'error', file, message }
      }
    }
  }
}

function pick(fault: { file: string; position: number | undefined; offset: number; message: string }) {
  const { file, position, offset, message } = fault
  return position === undefined ? { file, offset, message } : { file, position, offset, message }
}

function* compareWithManifest(segment: Segment, sealed: SealedSegment, sizeBytes: number): Generator<Finding> {
  const file = segment.name
  if (sizeBytes !== sealed.sizeBytes) {
    const message = `the file has ${sizeBytes} bytes, the manifest says ${sealed.sizeBytes}`
    yield { severity: 'error', file, offset: segment.endOffset, message }
  }
  if (segment.endOffset !== sealed.endOffset) {
    const message = `good batches up to offset ${segment.endOffset}, the manifest says ${sealed.endOffset}`
    yield { severity: 'error', file, offset: segment.endOffset, message }
  }
  if (segment.endOffset === sealed.endOffset && segment.maxTimestamp !== sealed.maxTimestamp) {
    const message = `the largest timestamp is ${segment.maxTimestamp}, the manifest says ${sealed.maxTimestamp}`
    yield { severity: 'error', file, message }
  }
}
