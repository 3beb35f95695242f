/**
 * What a log knows of itself while it is open. No I/O; changed only between two awaits.
 *
 *   startOffset      first offset that may be read; rises with retention and deletion
 *   highWatermark    offset after the last acknowledged record: what readers see. On disk, unless writes are relaxed
 *   synced           offset after the last record that a sync has covered, and where it ends in the segment written to
 *   endOffset        offset after the last assigned one: what the next append gets
 *   lastStableOffset first offset of the oldest transaction that is not durably ended, else the high watermark
 */
import { Emitter } from '../../protocol/lib/events.ts'
import type { EpochTable } from './epoch-table.ts'
import type { LogFault, RecoveryReport } from './log-fault.ts'
import type { Manifest } from './manifest.ts'
import type { ProducerTable } from './producer-state.ts'
import type { RecoveredLog } from './recovery.ts'
import type { Segment } from './segment.ts'

export class LogState {
  /** In order; all but the last are sealed. Those of which nothing is durable yet are not among them. */
  segments: Segment[]
  startOffset: number
  /** Where the log will begin once a manifest says so; until then nobody is told. */
  plannedStart = 0
  endOffset: number
  highWatermark: number
  synced: { offset: number; position: number }
  epochs: EpochTable
  producers: ProducerTable
  snapshots: number[]
  checkpoint: { baseOffset: number; position: number; endOffset: number } | undefined
  /** Below this offset the log is compacted; see the manifest for both. */
  compactedTo: number
  skippedFrom: number | undefined
  /** What opening found, and cut. */
  recovery: RecoveryReport
  fault: LogFault | undefined
  /** From here on no transaction was aborted. */
  abortedEnd: number
  /** Changes when segments were replaced, so that whoever waited for a read starts again. */
  generation = 0
  /** Backups that are being made: no snapshot is removed meanwhile. */
  holds = 0
  /** The high watermark or the log start moved, or the log went offline. */
  readonly changed = new Emitter<void>()
  readonly #onFault: (fault: LogFault) => void

  /** `onFault`: called when the log goes offline after it was opened. */
  constructor(recovered: RecoveredLog, onFault: (fault: LogFault) => void = () => {}) {
    this.#onFault = onFault
    this.segments = recovered.segments
    this.startOffset = recovered.startOffset
    this.endOffset = recovered.endOffset
    this.highWatermark = recovered.endOffset
    this.synced = syncedAtOpening(recovered)
    this.epochs = recovered.epochs
    this.producers = recovered.producers
    this.snapshots = recovered.snapshots
    this.checkpoint = recovered.checkpoint
    this.compactedTo = recovered.compactedTo
    this.skippedFrom = recovered.skippedFrom
    this.recovery = recovered.report
    this.fault = recovered.report.fault
    this.abortedEnd = abortedEndOf(recovered.segments)
  }

  /** Takes over what was recovered anew from the same folder. Returns the segments that are no longer used. */
  replaceBy(recovered: RecoveredLog): Segment[] {
    const replaced = this.segments
    this.segments = recovered.segments
    this.startOffset = Math.max(this.startOffset, recovered.startOffset)
    if (this.startOffset > recovered.endOffset) this.startOffset = recovered.endOffset
    this.endOffset = recovered.endOffset
    this.highWatermark = recovered.endOffset
    this.synced = syncedAtOpening(recovered)
    this.epochs = recovered.epochs
    this.producers = recovered.producers
    this.snapshots = recovered.snapshots
    this.checkpoint = recovered.checkpoint
    this.compactedTo = recovered.compactedTo
    this.skippedFrom = recovered.skippedFrom
    this.recovery = recovered.report
    this.fault = recovered.report.fault
    this.abortedEnd = abortedEndOf(recovered.segments)
    this.generation++
    if (this.fault) this.#onFault(this.fault)
    return replaced
  }

  /** For good, unless the log is recovered anew. The first fault stands. */
  goOffline(fault: LogFault): void {
    if (this.fault) return
    this.fault = fault
    this.#onFault(fault)
    this.tellChange()
  }

  tellChange(): void {
    try {
      this.changed.emit()
    } catch (error) {
      // What changed stands whatever a listener makes of it; the listener's bug ends the process as any other would.
      queueMicrotask(() => {
        throw error
      })
    }
  }

  /** Whether all that readers see is on disk. */
  get isSynced(): boolean {
    return this.synced.offset >= this.highWatermark
  }

  /** A sync has covered everything up to the high watermark. */
  noteSynced(): void {
    this.synced = { offset: this.highWatermark, position: this.active?.sizeBytes ?? 0 }
  }

  /** The segment that is written to, if there is one on disk. */
  get active(): Segment | undefined {
    const last = this.segments.at(-1)
    return last && !last.isSealed ? last : undefined
  }

  /** No offset from here on may be read: not durable, or damaged. */
  get readableEnd(): number {
    return this.fault ? Math.min(this.fault.offset, this.highWatermark) : this.highWatermark
  }

  get lastStableOffset(): number {
    const open = this.producers.transactions.firstOffset
    // Deleted records decide nothing any more.
    return open === undefined ? this.highWatermark : Math.min(Math.max(open, this.startOffset), this.highWatermark)
  }

  segmentFor(offset: number): Segment | undefined {
    let low = 0
    let high = this.segments.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.segments[middle]!.endOffset <= offset) low = middle + 1
      else high = middle
    }
    return this.segments[low]
  }

  get sizeBytes(): number {
    return this.segments.reduce((sum, segment) => sum + segment.sizeBytes, 0)
  }

  /** Puts a segment in the place of some that follow one another. False when they are no longer all there. */
  replaceSegments(old: readonly Segment[], replacement: Segment): boolean {
    const at = this.segments.indexOf(old[0]!)
    if (at < 0 || old.some((segment, index) => this.segments[at + index] !== segment)) return false
    this.segments = [...this.segments.slice(0, at), replacement, ...this.segments.slice(at + old.length)]
    this.generation++
    return true
  }

  /** Closed segments that end at or below `offset`, from the front. */
  segmentsBelow(offset: number): Segment[] {
    const kept = this.segments.findIndex((segment) => !segment.isSealed || segment.endOffset > offset)
    return this.segments.slice(0, kept < 0 ? this.segments.length : kept)
  }

  manifest(): Manifest {
    const { active, checkpoint, compactedTo, skippedFrom } = this
    const isCurrent = checkpoint && checkpoint.baseOffset === active?.baseOffset
    const startOffset = Math.max(this.startOffset, this.plannedStart)
    const kept = this.segments.slice(this.segmentsBelow(startOffset).length)
    return {
      version: 1,
      startOffset,
      epochs: this.epochs.from(startOffset).entries,
      sealed: kept.filter((segment) => segment.isSealed).map((segment) => segment.sealedEntry()),
      active: active?.baseOffset ?? null,
      ...(active?.sinceMs === undefined ? {} : { activeSinceMs: active.sinceMs }),
      checkpoint: isCurrent ? { position: checkpoint.position, endOffset: checkpoint.endOffset } : null,
      truncateTo: null,
      ...(compactedTo > 0 ? { compactedTo } : {}),
      ...(skippedFrom === undefined ? {} : { skippedFrom }),
    }
  }
}

const abortedEndOf = (segments: readonly Segment[]): number =>
  segments.findLast((segment) => segment.abortedFrom < segment.endOffset)?.endOffset ?? 0

/** Recovery has synced what it found. */
function syncedAtOpening({ segments, endOffset }: RecoveredLog): LogState['synced'] {
  const last = segments.at(-1)
  return { offset: endOffset, position: last && !last.isSealed ? last.sizeBytes : 0 }
}
