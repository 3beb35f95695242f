/**
 * One partition's log on disk: append, read, keep, delete. What does each of these is put together in log-parts.ts.
 *
 * Invariants
 *  - An offset that was acknowledged names that record for ever. Nothing is acknowledged or readable before it is synced.
 *  - startOffset <= lastStableOffset <= highWatermark <= endOffset. But for the last, which a failed write sets back, they
 *    never fall, unless by `truncateTo`, which cuts whole batches.
 *  - Batches are opaque; only base offset and leader epoch, both outside the checksum, are written into them.
 *  - After a failed sync nothing is ever written to that file again by this process.
 */
import { BATCH_HEADER_BYTES, readBatchHeader, viewOf } from '../../protocol/record-batch.ts'
import type { TransactionMarker } from '../../protocol/transaction-marker.ts'
import type { AppendResult } from './appender.ts'
import type { DecidedSlice } from './committed-reads.ts'
import type { CompactionNeed, CompactionReport, CompactionTools } from './compaction/log-compaction.ts'
import { type HeldFiles, holdFiles } from './held-files.ts'
import type { LogConfig } from './log-config.ts'
import type { LogFault, RecoveryReport } from './log-fault.ts'
import { storageRefusal } from './log-fault.ts'
import type { PartitionLogOptions } from './log-options.ts'
import { assembleLog, type LogParts } from './log-parts.ts'
import type { Allocate, ReadResult } from './log-reader.ts'
import type { CommittedRead } from './log-reads.ts'
import type { LogState } from './log-state.ts'
import type { OpenFileLimit } from './open-file-limit.ts'
import type { OpenTransaction } from './open-transactions.ts'
import type { ProducerDescription } from './producer-state.ts'
import type { RecentSlice } from './recent-batches.ts'
import type { RecoveredLog } from './recovery.ts'
import type { TimedOffset } from './time-lookup.ts'

export type {
  AppendResult,
  CommittedRead,
  LogConfig,
  LogFault,
  OpenTransaction,
  PartitionLogOptions,
  ReadResult,
  RecentSlice,
  RecoveryReport,
  TimedOffset,
}

const SCRUB_SLICE_BYTES = 4 * 1024 * 1024

export class PartitionLog {
  readonly dir: string
  readonly #options: PartitionLogOptions
  readonly #parts: LogParts
  readonly #state: LogState
  readonly #release: () => void
  #closing: Promise<void> | undefined

  /** Use `openPartitionLog` of open-log.ts. */
  constructor(options: PartitionLogOptions & { limit: OpenFileLimit }, recovered: RecoveredLog, release: () => void) {
    this.dir = options.dir
    this.#options = options
    this.#parts = assembleLog(options, recovered)
    this.#state = this.#parts.state
    this.#release = release
  }

  /** What opening found, and cut. */
  get recovery(): RecoveryReport {
    return this.#state.recovery
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
    return this.#parts.loop.queuedBytes
  }

  /** What a backup takes. */
  hold(): HeldFiles {
    return holdFiles(this.#state)
  }

  /** Leaves the mark by which a later start knows that there was a log. */
  establish(): Promise<void> {
    return this.#parts.writer.prepare()
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
    const { gate, loop, appender, refused } = this.#parts
    try {
      gate.checkRecords(batch.length, loop.queuedBytes)
      return appender.append(batch)
    } catch (error) {
      if (batch.length >= BATCH_HEADER_BYTES) refused.note(readBatchHeader(viewOf(batch)), this.#state.producers)
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
    const { gate, loop, appender } = this.#parts
    gate.check(0, loop.queuedBytes)
    return appender.appendMarker(marker)
  }

  /**
   * Whole batches from the one that holds `offset` on: at least one, else no more than `maxBytes`, none that ends above
   * `upTo`. Throws OFFSET_OUT_OF_RANGE, or KAFKA_STORAGE_ERROR where the log is damaged. `allocate` gives the buffer for
   * what is read from disk; without it a new one is made.
   */
  read(offset: number, maxBytes: number, upTo?: number, allocate?: Allocate): Promise<ReadResult> {
    return this.#parts.reads.read(offset, maxBytes, upTo, allocate)
  }

  /** The same from memory without a copy, if the batch that holds `offset` is still there and durable. */
  recent(offset: number, maxBytes?: number, upTo?: number): RecentSlice | undefined {
    return this.#parts.reads.recent(offset, maxBytes, upTo)
  }

  /**
   * As `read`, no further than the last stable offset; with the aborted transactions that have batches in it. Ends earlier
   * when these are very many.
   */
  readCommitted(offset: number, maxBytes: number, upTo?: number, allocate?: Allocate): Promise<CommittedRead> {
    return this.#parts.reads.readCommitted(offset, maxBytes, upTo, allocate)
  }

  /** The same from memory without a copy; undefined also when not all is known there that decides. */
  recentCommitted(offset: number, maxBytes?: number): DecidedSlice | undefined {
    return this.#parts.reads.recentCommitted(offset, maxBytes)
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
    return this.#parts.times.first(timestampMs)
  }

  /** The record with the largest timestamp (ListOffsets -3); undefined when the log is empty. */
  maxTimestampOffset(): Promise<TimedOffset | undefined> {
    return this.#parts.times.newest()
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

  /**
   * Records below `offset` are gone for readers from now on (DeleteRecords); -1 means all that is durable. Returns the
   * new log start. Throws OFFSET_OUT_OF_RANGE above the high watermark.
   */
  deleteRecordsBefore(offset: number): Promise<number> {
    return this.#parts.start.deleteBefore(offset)
  }

  /**
   * Deletes what the configuration no longer keeps, and forgets producers that wrote nothing for long. Call it every few
   * minutes. A wall clock that jumps ahead is followed slowly (patient-clock.ts). `deletableUpTo` is asked how much of what
   * lies below an offset may go now; without it all may. Returns the bytes freed.
   */
  async enforceRetention(deletableUpTo = (offset: number): number => offset): Promise<number> {
    if (this.#state.fault || this.#closing) return 0
    return this.#parts.start.enforceRetention(deletableUpTo)
  }

  /** Whether the log should be compacted now, and why. */
  compactionNeed(): Promise<CompactionNeed | undefined> {
    return this.#closing ? Promise.resolve(undefined) : this.#parts.compaction.need()
  }

  /**
   * Takes out what is outdated by newer records of the same keys. Appends and reads go on meanwhile. Throws
   * CompactionStopped when the log is closed or truncated, else what the disk throws; the log is then as good as before.
   */
  async compact(tools: CompactionTools): Promise<CompactionReport> {
    if (this.#state.fault) throw storageRefusal(this.#state.fault)
    return this.#parts.compaction.run(tools)
  }

  /**
   * Cuts the log so that it ends at `offset`, or at the beginning of the batch that holds it, and raises the leader
   * epoch. Returns the new end. Appends are refused meanwhile.
   */
  truncateTo(offset: number): Promise<number> {
    return this.#parts.end.truncateTo(offset)
  }

  /** Reads and checks the whole log, a slice at a time; yields where it has come to. A damaged batch ends it. */
  scrub(sliceBytes = SCRUB_SLICE_BYTES): AsyncGenerator<number> {
    return this.#parts.reads.scrub(sliceBytes)
  }

  /** Writes what is queued, leaves a clean-shutdown marker unless anything went wrong, closes all files. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    const { gate, compaction, loop, syncs, writer, recent } = this.#parts
    gate.close(`${this.dir} is closed`)
    await compaction.close()
    await loop.drained()
    syncs.close()
    const { recovery } = this.#state
    const isUntouched = !writer.isPrepared && (recovery.isClean || recovery.isNew)
    try {
      if (!this.#state.fault && !isUntouched) await writer.closeCleanly()
    } catch (error) {
      // All that was acknowledged is durable; only the marker is missing, and the next start scans instead.
      this.#options.logger?.warn(`${this.dir} was closed without a clean marker: ${error}`)
    } finally {
      await writer.release()
      await Promise.all(this.#state.segments.map((segment) => segment.retire()))
      recent.clear()
      this.#release()
    }
  }
}
