/**
 * Compaction of one log: whether it is due, and doing it.
 *
 * Never touched: the segment that is written to, what lies at or above the last stable offset, and what is younger than
 * min.compaction.lag.ms. A replacement is on disk under its own name before the manifest names it; the old files go when
 * it does, and when their last reader is done. So a crash at any moment leaves the old or the new.
 */
import type { CodecRegistry } from '../../../protocol/compression.ts'
import type { Clock } from '../../../protocol/lib/clock.ts'
import type { Random } from '../../../protocol/lib/random.ts'
import { BATCH_HEADER_BYTES, readBatchHeader, viewOf } from '../../../protocol/record-batch.ts'
import type { Files } from '../../storage/files.ts'
import { readFully } from '../../storage/files.ts'
import type { LogConfig } from '../log-config.ts'
import { isCompacted } from '../log-config.ts'
import type { LogState } from '../log-state.ts'
import type { LogWriter } from '../log-writer.ts'
import type { OpenFileLimit } from '../open-file-limit.ts'
import type { PatientClock } from '../patient-clock.ts'
import type { Segment } from '../segment.ts'
import type { SparseIndex } from '../sparse-index.ts'
import { AbortedRanges } from './aborted-ranges.ts'
import { compactUpTo } from './compaction-pass.ts'
import { scanKeys } from './key-scan.ts'
import { OffsetMap } from './offset-map.ts'
import type { Pace } from './pace.ts'
import type { PassContext } from './pass-context.ts'
import { Skips } from './skips.ts'

/** What could not be read is tried again after so long, even when nothing else is to be done. */
const RETRY_MS = 3_600_000

export interface CompactionTools {
  pace: Pace
  codecs: CodecRegistry
  random: Random
  /** For the map of keys. */
  mapBytesMax: number
}

/** Why a log should be compacted now. */
export interface CompactionNeed {
  /** Share of the bytes that may be compacted and have not been yet. */
  dirtyRatio: number
  reason: 'dirty' | 'lag' | 'tombstones' | 'retry'
}

export interface CompactionReport {
  passes: number
  recordsRemoved: number
  segmentsWritten: number
  bytesBefore: number
  bytesAfter: number
  /** What was left as it was, in words. */
  skipped: string[]
}

/** Something more important came: the log closes, is truncated, or lost a segment meanwhile. */
export class CompactionStopped extends Error {
  override readonly name = 'CompactionStopped'
}

export interface LogCompactionOptions {
  files: Files
  dir: string
  limit: OpenFileLimit
  clock: Clock
  /** For what is deleted by age. */
  time: PatientClock
  config: () => LogConfig
  state: LogState
  writer: LogWriter
  warn: (message: string) => void
  indexOf: (segment: Segment) => Promise<SparseIndex>
  /** Closes the segment that is written to, if nothing is being written. */
  rollIdle: () => Promise<void>
  /** Batches below this offset may no longer be what they were. */
  changedBelow: (offset: number) => void
}

export class LogCompaction {
  readonly #options: LogCompactionOptions
  #running: Promise<CompactionReport> | undefined
  #stop: (() => void) | undefined
  #triedAtMs = Number.NEGATIVE_INFINITY
  /** Replaced, but the manifest that says so could not be written yet. */
  #unnamed: Segment[] = []

  constructor(options: LogCompactionOptions) {
    this.#options = options
  }

  async need(): Promise<CompactionNeed | undefined> {
    const { config, state, clock, time } = this.#options
    const now = time.now()
    const { minCleanableDirtyRatio, maxCompactionLagMs, cleanupPolicy } = config()
    if (!isCompacted(cleanupPolicy) || state.fault || this.#running) return undefined
    const end = this.#compactableEnd(now)
    const dirtyFrom = this.#dirtyFrom
    let [dirtyBytes, allBytes] = [0, 0]
    for (const segment of state.segments) {
      if (segment.endOffset > end || !segment.isSealed) break
      allBytes += segment.sizeBytes
      if (segment.endOffset > dirtyFrom) dirtyBytes += segment.sizeBytes
    }
    const dirtyRatio = allBytes === 0 ? 0 : dirtyBytes / allBytes
    if (dirtyBytes > 0 && dirtyRatio >= minCleanableDirtyRatio) return { dirtyRatio, reason: 'dirty' }
    if (now - (await this.#oldestDirtyMs()) > maxCompactionLagMs) return { dirtyRatio, reason: 'lag' }
    const isRipe = ({ horizonMs, endOffset }: Segment) =>
      horizonMs !== undefined && horizonMs <= now && endOffset <= end
    if (state.skippedFrom === undefined && state.segments.some(isRipe)) return { dirtyRatio, reason: 'tombstones' }
    const isToRetry = state.skippedFrom !== undefined && clock.monotonic() - this.#triedAtMs > RETRY_MS
    return isToRetry ? { dirtyRatio, reason: 'retry' } : undefined
  }

  /** Whether tombstones or markers may go now. */
  #isRipe(nowMs: number, end: number): boolean {
    return this.#options.state.segments.some(
      ({ horizonMs, endOffset }) => horizonMs !== undefined && horizonMs <= nowMs && endOffset <= end,
    )
  }

  get #dirtyFrom(): number {
    const { compactedTo, startOffset } = this.#options.state
    return Math.max(compactedTo, startOffset)
  }

  /** The end of the last segment that may be compacted. */
  #compactableEnd(nowMs: number): number {
    const { state, config } = this.#options
    const { minCompactionLagMs } = config()
    let end = 0
    for (const segment of state.segments) {
      const isTooYoung = minCompactionLagMs > 0 && segment.maxTimestamp > nowMs - minCompactionLagMs
      if (!segment.isSealed || segment.endOffset > state.lastStableOffset || isTooYoung) break
      end = segment.endOffset
    }
    return end
  }

  /** The time of the first batch that was not compacted; infinite when there is none. */
  async #oldestDirtyMs(): Promise<number> {
    const segment = this.#options.state.segments.find(
      ({ endOffset, sizeBytes }) => endOffset > this.#dirtyFrom && sizeBytes >= BATCH_HEADER_BYTES,
    )
    if (!segment) return Number.POSITIVE_INFINITY
    const bytes = new Uint8Array(BATCH_HEADER_BYTES)
    const count = await segment.use((file) => readFully(file, bytes, 0))
    return count < bytes.length ? Number.POSITIVE_INFINITY : readBatchHeader(viewOf(bytes)).maxTimestamp
  }

  /**
   * Compacts what may be compacted now, in as many passes as the map of keys needs. Throws CompactionStopped, or what the
   * disk throws; the log is then as good as before.
   */
  async run(tools: CompactionTools): Promise<CompactionReport> {
    await this.#rollIfOld()
    if (this.#running) throw new CompactionStopped('it is being compacted already')
    const stopped = new Promise<never>((_, reject) => {
      this.#stop = () => reject(new CompactionStopped(`compaction of ${this.#options.dir} was stopped`))
    })
    stopped.catch(() => {})
    this.#triedAtMs = this.#options.clock.monotonic()
    this.#running = this.#run({ ...tools, pace: stoppable(tools.pace, stopped) }).finally(() => {
      this.#running = undefined
      this.#stop = undefined
    })
    return this.#running
  }

  /** Before anything that `interrupt` would wait for: rolling waits for a commit. */
  async #rollIfOld(): Promise<void> {
    const { time, config, rollIdle } = this.#options
    if (time.now() - (await this.#oldestDirtyMs()) > config().maxCompactionLagMs) await rollIdle()
  }

  /** Ends what is running, and resolves when it has ended. */
  async interrupt(): Promise<void> {
    this.#stop?.()
    await this.#running?.catch(() => {})
  }

  /** The folder is read anew, and its manifest may name what was replaced here: that is the log again, and stays. */
  async reset(): Promise<void> {
    await this.interrupt()
    for (const segment of this.#unnamed.splice(0)) segment.retire().catch(() => {})
  }

  async #run(tools: CompactionTools): Promise<CompactionReport> {
    const { state, time, writer } = this.#options
    await this.#nameAll()
    const report: CompactionReport = {
      ...{ passes: 0, recordsRemoved: 0, segmentsWritten: 0, skipped: [] },
      ...{ bytesBefore: state.sizeBytes, bytesAfter: 0 },
    }
    const note = (message: string) => {
      report.skipped.push(message)
      this.#options.warn(`compaction: ${message}`)
    }
    const now = time.now()
    const end = this.#compactableEnd(now)
    let isMore = this.#dirtyFrom < end || this.#isRipe(now, end) || state.skippedFrom !== undefined
    while (isMore) {
      const skips = new Skips(state.skippedFrom, note)
      const from = Math.min(this.#dirtyFrom, end)
      const map = new OffsetMap(tools.mapBytesMax, end - from, tools.random)
      const context = await this.#contextOf(tools, skips, end)
      const mapEnd = await scanKeys(context, map, { from, upTo: end })
      const result = await compactUpTo(context, map, mapEnd)
      report.passes++
      report.recordsRemoved += result.recordsRemoved
      report.segmentsWritten += result.segmentsWritten
      isMore = this.#notePass(mapEnd, skips.from, end)
      await writer.saveManifest()
    }
    return { ...report, bytesAfter: state.sizeBytes }
  }

  async #contextOf(tools: CompactionTools, skips: Skips, end: number): Promise<PassContext> {
    const { files, dir, limit, time, config, state, indexOf } = this.#options
    const aborted = await AbortedRanges.of(state.segments, end, indexOf)
    return {
      ...{ files, dir, limit, state, indexOf, skips, aborted, config: config(), nowMs: time.now() },
      ...{ codecs: tools.codecs, pace: tools.pace },
      replace: (old, replacement) => this.#replace(old, replacement),
      nameReplacements: () => this.#nameAll(),
    }
  }

  /** What the log knows of itself after a pass. Returns whether another should follow at once. */
  #notePass(mapEnd: number, skippedFrom: number, end: number): boolean {
    const { state } = this.#options
    state.compactedTo = Math.max(state.compactedTo, mapEnd)
    if (skippedFrom !== Number.POSITIVE_INFINITY) {
      state.skippedFrom = Math.min(state.skippedFrom ?? Number.POSITIVE_INFINITY, skippedFrom)
    } else if (state.skippedFrom !== undefined && state.skippedFrom < mapEnd) {
      // All of it can be read now. Keys that were passed over are made up for.
      state.compactedTo = Math.min(state.compactedTo, state.skippedFrom)
      state.skippedFrom = undefined
    }
    return Math.max(state.compactedTo, state.startOffset) < end
  }

  #replace(old: readonly Segment[], replacement: Segment): void {
    const { state, limit } = this.#options
    if (!state.replaceSegments(old, replacement)) throw new CompactionStopped('the log changed meanwhile')
    limit.touch(replacement)
    this.#options.changedBelow(replacement.endOffset)
    this.#unnamed.push(...old)
  }

  /** The manifest names what is there now; what it no longer names goes when its readers are done. */
  async #nameAll(): Promise<void> {
    const replaced = this.#unnamed
    if (replaced.length === 0) return
    await this.#options.writer.saveManifest()
    this.#unnamed = this.#unnamed.filter((segment) => !replaced.includes(segment))
    for (const segment of replaced) {
      segment.remove().catch((error) => this.#options.warn(`${segment.path} was not deleted: ${error}`))
    }
  }

  /** Closes what is still open of replaced segments. The next start removes their files. */
  async close(): Promise<void> {
    await this.interrupt()
    await Promise.all(this.#unnamed.map((segment) => segment.retire()))
  }
}

function stoppable(pace: Pace, stopped: Promise<never>): Pace {
  let isStopped = false
  stopped.catch(() => {
    isStopped = true
  })
  return {
    get isDue() {
      return isStopped || pace.isDue
    },
    spend: (bytes) => pace.spend(bytes),
    rest: () => (isStopped ? stopped : Promise.race([pace.rest(), stopped])),
  }
}
