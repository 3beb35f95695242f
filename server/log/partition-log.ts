/**
 * One partition's log on disk: append, read, keep, delete.
 *
 * Invariants
 *  - An offset that was acknowledged names that record for ever. Nothing is acknowledged or readable before it is synced.
 *  - startOffset <= lastStableOffset <= highWatermark <= endOffset. But for the last, which a failed write sets back, they
 *    never fall, unless by `truncateTo`, which cuts whole batches.
 *  - Batches are opaque; only base offset and leader epoch, both outside the checksum, are written into them.
 *  - After a failed sync nothing is ever written to that file again by this process.
 *
 * When the disk is full: the round that met it, and all behind it, are refused with KAFKA_STORAGE_ERROR (retriable); the
 * file is cut back to its durable end; appends are refused until there is room again, which each refused append
 * may look for, once a second at most. If cutting fails, or a sync found the disk full, the log goes offline instead.
 */
import type { CodecRegistry } from '../../protocol/compression.ts'
import { KafkaError } from '../../protocol/errors.ts'
import type { Clock, Timer } from '../../protocol/lib/clock.ts'
import { BATCH_HEADER_BYTES, batchesIn, readBatchHeader, viewOf } from '../../protocol/record-batch.ts'
import type { TransactionMarker } from '../../protocol/transaction-marker.ts'
import type { DiskSpace } from '../storage/disk-space.ts'
import type { Files } from '../storage/files.ts'
import { isNoSpace } from '../storage/files.ts'
import { AppendGate, QUEUED_BYTES_MAX } from './append-gate.ts'
import type { AppendResult } from './appender.ts'
import { Appender, CHECKPOINT_BYTES_DEFAULT } from './appender.ts'
import type { Round } from './commit-loop.ts'
import { CommitLoop } from './commit-loop.ts'
import type { DecidedSlice } from './committed-reads.ts'
import { CommittedReads } from './committed-reads.ts'
import type { CompactionNeed, CompactionReport, CompactionTools } from './compaction/log-compaction.ts'
import { LogCompaction } from './compaction/log-compaction.ts'
import type { CommitActivity } from './compaction/pace.ts'
import { type HeldFiles, holdFiles } from './held-files.ts'
import type { LogConfig } from './log-config.ts'
import type { LogFault, RecoveryReport } from './log-fault.ts'
import { storageRefusal, writeFault } from './log-fault.ts'
import type { Allocate, ReadResult } from './log-reader.ts'
import { LogReader } from './log-reader.ts'
import { LogStart } from './log-start.ts'
import { LogState } from './log-state.ts'
import { LogWriter, SyncFailure } from './log-writer.ts'
import type { OpenFileLimit } from './open-file-limit.ts'
import type { OpenTransaction } from './open-transactions.ts'
import { PatientClock } from './patient-clock.ts'
import type { ProducerDescription } from './producer-state.ts'
import type { RecentSlice } from './recent-batches.ts'
import { RecentBatches, RecentBudget } from './recent-batches.ts'
import type { RecoveredLog } from './recovery.ts'
import { recoverLog } from './recovery.ts'
import { RefusedProducers } from './refused-producers.ts'
import type { TimedOffset } from './time-lookup.ts'
import { TimeLookup } from './time-lookup.ts'

export type { AppendResult, LogConfig, LogFault, OpenTransaction, ReadResult, RecentSlice, RecoveryReport, TimedOffset }

export { QUEUED_BYTES_MAX }

export type CommittedRead = ReadResult & Pick<DecidedSlice, 'aborted'>

const SYNC_POINT_DELAY_MS = 10
const SCRUB_SLICE_BYTES = 4 * 1024 * 1024

export interface LogLogger {
  warn(message: string): void
}

export interface PartitionLogOptions {
  files: Files
  dir: string
  config: () => LogConfig
  clock: Clock
  /** Called once when the log goes offline after it was opened. */
  onFault?: (fault: LogFault) => void
  logger?: LogLogger
  /**
   * 'new': the log leaves its mark on disk at once, so that its absence can be noticed later. 'must-exist': a folder
   * without that mark is damage, and the log opens offline. Left out: whatever is there, or a new log.
   */
  existence?: 'new' | 'must-exist'
  /** Shared by all logs of a relay. */
  limit?: OpenFileLimit
  recentBudget?: RecentBudget
  /** The watermarks of the disk, for logs of topics. */
  space?: DiskSpace
  /** Where all logs of a relay count their commits under way. */
  commits?: CommitActivity
  /** How much is written between two points from which recovery may start. Default 32 MiB. */
  checkpointBytes?: number | (() => number)
  /** To look into compressed batches for timestamps. Default: gzip only; others answer by batch. */
  codecs?: CodecRegistry
}

export class PartitionLog {
  readonly dir: string
  readonly #options: PartitionLogOptions & { limit: OpenFileLimit }
  readonly #state: LogState
  readonly #writer: LogWriter
  readonly #reader: LogReader
  readonly #appender: Appender
  readonly #loop: CommitLoop
  readonly #recent: RecentBatches
  readonly #refused = new RefusedProducers()
  readonly #committedReads: CommittedReads
  readonly #times: TimeLookup
  readonly #gate: AppendGate
  readonly #start: LogStart
  readonly #compaction: LogCompaction
  readonly #release: () => void
  #recovery: RecoveryReport
  #syncPointTimer: Timer | undefined
  #flushTimer: Timer | undefined
  #closing: Promise<void> | undefined

  /** Use `openPartitionLog` of open-log.ts. */
  constructor(options: PartitionLogOptions & { limit: OpenFileLimit }, recovered: RecoveredLog, release: () => void) {
    const { files, dir, clock, config, limit } = options
    this.dir = dir
    this.#options = options
    this.#release = release
    this.#recovery = recovered.report
    const state = new LogState(recovered)
    this.#state = state
    const warn = (message: string) => options.logger?.warn(message)
    this.#writer = new LogWriter({ files, dir, state, limit, syncCounter: recovered.syncCounter, warn })
    this.#reader = new LogReader({ files, dir, state, onDamage: (fault) => this.#goOffline(fault) })
    const commits = {
      write: (round: Round) => this.#writer.write(round),
      committed: (round: Round, isLast: boolean) => this.#committed(round, isLast),
      failed: (error: unknown) => this.#failed(error),
      givenUp: (round: Round) => this.#givenUp(round),
    }
    this.#loop = new CommitLoop(commits, clock, options.commits)
    this.#recent = new RecentBatches(options.recentBudget ?? new RecentBudget())
    const { checkpointBytes: between = CHECKPOINT_BYTES_DEFAULT } = options
    const checkpointBytes = typeof between === 'number' ? () => between : between
    this.#appender = new Appender({
      ...{ files, dir, clock, config, state, limit, loop: this.#loop, recent: this.#recent },
      ...{ refused: this.#refused, checkpointBytes },
    })
    this.#committedReads = new CommittedReads(state, this.#reader)
    this.#times = new TimeLookup(state, this.#reader, options.codecs)
    this.#gate = new AppendGate({ files, dir, clock, state, space: options.space })
    const time = new PatientClock(clock)
    this.#start = new LogStart({
      ...{ dir, time, config, state, writer: this.#writer, warn },
      moved: () => this.#tellChange(),
      flush: () => this.#flush(),
      rollIdle: () => this.#rollIdle(),
    })
    this.#compaction = new LogCompaction({
      ...{ files, dir, limit, clock, time, config, state, writer: this.#writer, warn },
      indexOf: async (segment) => segment.index ?? (await this.#reader.loadIndex(segment)),
      rollIdle: () => this.#rollIdle(),
      changedBelow: (offset) => this.#recent.forgetBelow(offset),
    })
  }

  /** What opening found, and cut. */
  get recovery(): RecoveryReport {
    return this.#recovery
  }

  /** The first offset that may be read. */
  get startOffset(): number {
    return this.#state.startOffset
  }

  /** The offset that the next record gets. */
  get endOffset(): number {
    return this.#state.endOffset
  }

  /** The offset after the last acknowledged record: what readers see. */
  get highWatermark(): number {
    return this.#state.highWatermark
  }

  /** The offset after the last record that is on disk: the high watermark, or less where writes are relaxed. */
  get syncedOffset(): number {
    return this.#state.synced.offset
  }

  /**
   * The first offset of the oldest open transaction, or the high watermark: what readers of committed records see. A
   * transaction counts as open until its marker is durable.
   */
  get lastStableOffset(): number {
    return this.#state.lastStableOffset
  }

  get leaderEpoch(): number {
    return this.#state.epochs.latest
  }

  get state(): 'online' | 'offline' {
    return this.#state.fault ? 'offline' : 'online'
  }

  get fault(): LogFault | undefined {
    return this.#state.fault
  }

  /** Durable bytes in all segments. */
  get sizeBytes(): number {
    return this.#state.sizeBytes
  }

  get queuedBytes(): number {
    return this.#loop.queuedBytes
  }

  /** What a backup takes. */
  hold(): HeldFiles {
    return holdFiles(this.#state)
  }

  /** Leaves the mark by which a later start knows that there was a log. */
  establish(): Promise<void> {
    return this.#writer.prepare()
  }

  /**
   * Gives the batch its offset and queues it for the next commit. The bytes belong to the log from here on.
   *
   * Throws KafkaError: what is wrong with the batch (see batch-check.ts), with its sequence (producer-state.ts),
   * KAFKA_STORAGE_ERROR when the log is offline or the disk full, REQUEST_TIMED_OUT when too much is queued already.
   *
   * A transactional batch opens its producer's transaction, or goes on with it. Whether the producer has added this
   * partition to a transaction is for the caller to know.
   */
  append(batch: Uint8Array): AppendResult {
    try {
      this.#gate.checkRecords(batch.length, this.#loop.queuedBytes)
      return this.#appender.append(batch)
    } catch (error) {
      if (batch.length >= BATCH_HEADER_BYTES) this.#refused.note(readBatchHeader(viewOf(batch)), this.#state.producers)
      throw error
    }
  }

  /**
   * Ends a producer's transaction here; all its batches are committed, or aborted, once the marker is durable. A marker
   * with a higher epoch fences the older ones, and sequences begin anew at 0; it is written even if no transaction is
   * open. One that repeats the producer's last is not written again (`duplicate`).
   *
   * Throws KafkaError: INVALID_PRODUCER_EPOCH for an older epoch than the log knows, TRANSACTION_COORDINATOR_FENCED for an
   * older coordinator, and what `append` throws for a log that takes nothing.
   */
  appendMarker(marker: TransactionMarker): AppendResult {
    this.#gate.check(0, this.#loop.queuedBytes)
    return this.#appender.appendMarker(marker)
  }

  /**
   * Whole batches from the one that holds `offset` on: at least one, else no more than `maxBytes`, none that ends above
   * `upTo`. Throws OFFSET_OUT_OF_RANGE, or KAFKA_STORAGE_ERROR where the log is damaged. `allocate` gives the buffer for
   * what is read from disk; without it a new one is made.
   */
  async read(
    offset: number,
    maxBytes: number,
    upTo = Number.POSITIVE_INFINITY,
    allocate?: Allocate,
  ): Promise<ReadResult> {
    const held = this.recent(offset, maxBytes, upTo)
    if (!held) return this.#reader.read(offset, maxBytes, upTo, allocate)
    const { baseOffset, nextOffset } = held
    return { bytes: joined(held), baseOffset, nextOffset }
  }

  /** The same from memory without a copy, if the batch that holds `offset` is still there and durable. */
  recent(
    offset: number,
    maxBytes = Number.POSITIVE_INFINITY,
    upTo = Number.POSITIVE_INFINITY,
  ): RecentSlice | undefined {
    if (offset < this.#state.startOffset) return undefined
    return this.#recent.slice(offset, Math.min(upTo, this.#state.readableEnd), maxBytes)
  }

  /**
   * As `read`, no further than the last stable offset; with the aborted transactions that have batches in it. Ends earlier
   * when these are very many.
   */
  async readCommitted(
    offset: number,
    maxBytes: number,
    upTo = Number.POSITIVE_INFINITY,
    allocate?: Allocate,
  ): Promise<CommittedRead> {
    for (;;) {
      const { generation } = this.#state
      const { bytes, ...read } = await this.read(offset, maxBytes, Math.min(upTo, this.lastStableOffset), allocate)
      const { pieces, ...decided } = await this.#committedReads.decide({ ...read, pieces: [bytes] }, offset)
      // With its segments the log may have lost what was known of them: look again.
      const isSame = generation === this.#state.generation && offset >= this.#state.startOffset
      if (isSame) return { ...read, ...decided, bytes: pieces[0]! }
    }
  }

  /** The same from memory without a copy; undefined also when not all is known there that decides. */
  recentCommitted(offset: number, maxBytes?: number): DecidedSlice | undefined {
    const held = this.recent(offset, maxBytes, this.lastStableOffset)
    return held && this.#committedReads.decideNow(held, offset)
  }

  /**
   * Called when the high watermark moved (once per commit), the log start moved, or the state changed. Returns the
   * function that ends it. A listener must not throw.
   */
  onAdvance(listener: () => void): () => void {
    return this.#state.changed.on(listener)
  }

  /** The first record at or after a time (ListOffsets); undefined when there is none. */
  offsetForTimestamp(timestampMs: number): Promise<TimedOffset | undefined> {
    return this.#times.first(timestampMs)
  }

  /** The record with the largest timestamp (ListOffsets -3); undefined when the log is empty. */
  maxTimestampOffset(): Promise<TimedOffset | undefined> {
    return this.#times.newest()
  }

  /** OffsetForLeaderEpoch: the largest epoch not above `epoch` and where it ends; both -1 when that is unknown. */
  endOffsetForEpoch(epoch: number): { epoch: number; endOffset: number } {
    return this.#state.epochs.endOf(epoch, this.#state.highWatermark)
  }

  /** What each idempotent producer has durably written here (DescribeProducers). */
  producers(): ProducerDescription[] {
    return this.#state.producers.describe(this.#state.highWatermark)
  }

  /** Transactions that no marker has ended yet, oldest first. */
  openTransactions(): OpenTransaction[] {
    return this.#state.producers.transactions.list()
  }

  #committed(round: Round, isLast: boolean): void {
    const { active } = this.#state
    if (active && round.sizeBytes > 0) {
      active.sizeBytes += round.sizeBytes
      active.endOffset = round.endOffset
      active.maxTimestamp = active.index!.maxTimestamp
      this.#state.highWatermark = round.endOffset
      this.#state.producers.transactions.settle(round.endOffset)
    }
    if (round.isSynced) this.#state.noteSynced()
    else this.#flushSoon()
    if (isLast) this.#noteSyncPointSoon()
    this.#tellChange()
  }

  /** When nothing more comes for a moment: under load the commits themselves tell how far the disk is (commit-mark.ts). */
  #noteSyncPointSoon(): void {
    this.#syncPointTimer ??= this.#options.clock.setTimer(SYNC_POINT_DELAY_MS, () => {
      this.#syncPointTimer = undefined
      if (this.#loop.isIdle) this.#writer.noteSyncPoint()
      else this.#noteSyncPointSoon()
    })
  }

  /** After flush.ms what was written without a sync gets one. */
  #flushSoon(): void {
    if (this.#state.isSynced || this.#closing) return
    this.#flushTimer ??= this.#options.clock.setTimer(this.#options.config().flushMs, () => {
      this.#flushTimer = undefined
      this.#flush().catch(() => {})
    })
  }

  /** Resolves when all that readers see is on disk. */
  async #flush(): Promise<void> {
    if (this.#state.isSynced) return
    await this.#loop.addBoundary(this.#state.endOffset, { kind: 'flush' }).committed
  }

  #tellChange(): void {
    try {
      this.#state.changed.emit()
    } catch (error) {
      // The commit stands whatever a listener makes of it; the listener's bug ends the process as any other would.
      queueMicrotask(() => {
        throw error
      })
    }
  }

  #goOffline(fault: LogFault): void {
    if (this.#state.fault) return
    this.#state.fault = fault
    this.#options.onFault?.(fault)
    this.#tellChange()
  }

  async #failed(error: unknown): Promise<Error> {
    if (isNoSpace(error)) {
      const message = `the disk that holds ${this.dir} is full; appends are refused until there is room`
      this.#gate.shutForRoom(message)
      try {
        await this.#writer.cutUnfinished()
        await this.#recoverAgain()
        return new KafkaError('KAFKA_STORAGE_ERROR', message)
      } catch (second) {
        error = second
      }
    }
    const file = this.#state.active?.path ?? this.dir
    const cause = error instanceof SyncFailure ? error.cause : error
    const hasSyncFailed = error instanceof SyncFailure
    const { synced, highWatermark } = this.#state
    const fault = writeFault(cause, file, hasSyncFailed ? synced.offset : highWatermark)
    this.#goOffline(fault)
    // What the kernel still shows of the failed write must not look written after a restart. May fail; tried once.
    await this.#writer.cutUnfinished(hasSyncFailed).catch(() => {})
    return storageRefusal(fault)
  }

  /** What the producers of these batches send next must not overtake them. */
  #givenUp({ pieces }: Round): void {
    for (const piece of pieces) {
      for (const { header } of batchesIn(piece)) this.#refused.note(header, this.#state.producers)
    }
  }

  /** Reads the folder anew, as a start would. Nothing is queued or being written. */
  async #recoverAgain(): Promise<void> {
    const { files, limit, clock } = this.#options
    this.#syncPointTimer?.cancel()
    this.#syncPointTimer = undefined
    this.#flushTimer?.cancel()
    this.#flushTimer = undefined
    await this.#compaction.interrupt()
    await this.#writer.release()
    const recovered = await recoverLog({ files, dir: this.dir, limit, nowMs: clock.now() })
    this.#recovery = recovered.report
    this.#recent.clear()
    this.#reader.forgetHints()
    const replaced = this.#state.replaceBy(recovered)
    this.#writer.restart(recovered.syncCounter)
    this.#appender.restart()
    for (const segment of replaced) segment.retire().catch(() => {})
    if (recovered.report.fault) this.#options.onFault?.(recovered.report.fault)
    this.#tellChange()
  }

  /**
   * Records below `offset` are gone for readers from now on (DeleteRecords); -1 means all that is durable. Returns the
   * new log start. Throws OFFSET_OUT_OF_RANGE above the high watermark.
   */
  deleteRecordsBefore(offset: number): Promise<number> {
    return this.#start.deleteBefore(offset)
  }

  /**
   * Deletes what the configuration no longer keeps, and forgets producers that wrote nothing for long. Call it every few
   * minutes. A wall clock that jumps ahead is followed slowly (patient-clock.ts). Returns the bytes freed.
   */
  async enforceRetention(): Promise<number> {
    if (this.#state.fault || this.#closing) return 0
    return this.#start.enforceRetention()
  }

  /** Whether the log should be compacted now, and why. */
  compactionNeed(): Promise<CompactionNeed | undefined> {
    return this.#closing ? Promise.resolve(undefined) : this.#compaction.need()
  }

  /**
   * Takes out what is outdated by newer records of the same keys. Appends and reads go on meanwhile. Throws
   * CompactionStopped when the log is closed or truncated, else what the disk throws; the log is then as good as before.
   */
  async compact(tools: CompactionTools): Promise<CompactionReport> {
    if (this.#state.fault) throw storageRefusal(this.#state.fault)
    return this.#compaction.run(tools)
  }

  async #rollIdle(): Promise<void> {
    if (!this.#loop.isIdle || this.#gate.isShut || this.#appender.position === 0) return
    await this.#loop.addBoundary(this.#state.endOffset, this.#appender.rollHere()).committed
  }

  /**
   * Cuts the log so that it ends at `offset`, or at the beginning of the batch that holds it, and raises the leader
   * epoch. Returns the new end. Appends are refused meanwhile.
   */
  async truncateTo(offset: number): Promise<number> {
    const { startOffset, fault } = this.#state
    if (fault) throw storageRefusal(fault)
    if (offset < startOffset || offset > this.#state.endOffset) {
      throw new KafkaError('OFFSET_OUT_OF_RANGE', `a log of ${startOffset} to ${this.endOffset} can't end at ${offset}`)
    }
    this.#gate.shut(`${this.dir} is being truncated`)
    try {
      await this.#loop.drained()
      await this.#compaction.interrupt()
      if (this.#state.fault) throw storageRefusal(this.#state.fault)
      if (offset < this.#state.highWatermark) await this.#truncate(offset)
      return this.#state.endOffset
    } finally {
      this.#gate.open()
    }
  }

  async #truncate(offset: number): Promise<void> {
    try {
      await this.#writer.saveTruncation(offset)
      await this.#recoverAgain()
    } catch (error) {
      // Decided or not? The disk knows, the next start will ask it. Until then nothing may be appended that it would cut.
      const fault = writeFault(error, this.dir, offset)
      this.#goOffline(fault)
      throw storageRefusal(fault)
    }
  }

  /** Reads and checks the whole log, a slice at a time; yields where it has come to. A damaged batch ends it. */
  async *scrub(sliceBytes = SCRUB_SLICE_BYTES): AsyncGenerator<number> {
    let offset = this.#state.startOffset
    while (offset < this.#state.readableEnd) {
      offset = Math.max(offset, this.#state.startOffset)
      const { nextOffset } = await this.#reader.read(offset, sliceBytes, Number.POSITIVE_INFINITY)
      if (nextOffset === offset) return
      offset = nextOffset
      yield offset
    }
  }

  /** Writes what is queued, leaves a clean-shutdown marker unless anything went wrong, closes all files. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    this.#gate.close(`${this.dir} is closed`)
    await this.#compaction.close()
    await this.#loop.drained()
    this.#syncPointTimer?.cancel()
    this.#flushTimer?.cancel()
    const isUntouched = !this.#writer.isPrepared && (this.#recovery.isClean || this.#recovery.isNew)
    try {
      if (!this.#state.fault && !isUntouched) await this.#writer.closeCleanly()
    } catch (error) {
      // All that was acknowledged is durable; only the marker is missing, and the next start scans instead.
      this.#options.logger?.warn(`${this.dir} was closed without a clean marker: ${error}`)
    } finally {
      await this.#writer.release()
      await Promise.all(this.#state.segments.map((segment) => segment.retire()))
      this.#recent.clear()
      this.#release()
    }
  }
}

function joined(slice: RecentSlice): Uint8Array {
  const [only, ...others] = slice.pieces
  if (only && others.length === 0) return only
  const bytes = new Uint8Array(slice.sizeBytes)
  let at = 0
  for (const piece of slice.pieces) {
    bytes.set(piece, at)
    at += piece.length
  }
  return bytes
}
