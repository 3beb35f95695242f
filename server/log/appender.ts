/**
 * Gives batches their place, in memory, between two turns of the event loop: checked, recognised when they repeat,
 * numbered, queued. Nothing here waits; the commit loop does the rest.
 */
import type { Clock } from '../../protocol/lib/clock.ts'
import type { BatchHeader } from '../../protocol/record-batch.ts'
import {
  readBatchHeader,
  stampLogAppendTime,
  viewOf,
  writeBaseOffset,
  writeLeaderEpoch,
} from '../../protocol/record-batch.ts'
import type { TransactionMarker } from '../../protocol/transaction-marker.ts'
import { encodeMarker } from '../../protocol/transaction-marker.ts'
import type { Files } from '../storage/files.ts'
import { checkBatch } from './batch-check.ts'
import { logCrc32c } from './checksum.ts'
import type { CommitLoop, Round, RoundBoundary } from './commit-loop.ts'
import type { Durability } from './durability.ts'
import type { LogConfig } from './log-config.ts'
import { isCompacted } from './log-config.ts'
import type { LogState } from './log-state.ts'
import type { OpenFileLimit } from './open-file-limit.ts'
import { encodeProducerSnapshot } from './producer-snapshot.ts'
import type { ProducerBatch } from './producer-state.ts'
import type { RecentBatches } from './recent-batches.ts'
import type { RefusedProducers } from './refused-producers.ts'
import { Segment } from './segment.ts'
import { SparseIndex } from './sparse-index.ts'

export const CHECKPOINT_BYTES_DEFAULT = 32 * 1024 * 1024
/** Offsets in one segment; the rest of Kafka's world counts them in 32 bits. */
const SEGMENT_OFFSETS_MAX = 2_147_483_647
const ALREADY_DURABLE: Promise<void> = Promise.resolve()

export interface AppendResult {
  baseOffset: number
  /** With LogAppendTime the time that was stamped, else -1. */
  logAppendTimeMs: number
  /** The batch was there already; `baseOffset` is the original one. */
  duplicate: boolean
  /** What `durable` will have meant. */
  durability: Durability
  /** Resolves when it is on disk, or written where that is all that was asked for. Rejects with KAFKA_STORAGE_ERROR when it will never be known to be. */
  durable: Promise<void>
}

export interface AppenderOptions {
  files: Files
  dir: string
  clock: Clock
  config: () => LogConfig
  state: LogState
  loop: CommitLoop
  recent: RecentBatches
  refused: RefusedProducers
  limit: OpenFileLimit
  /** Recovery scans no more than about this. Asked anew before each batch. */
  checkpointBytes: () => number
}

export class Appender {
  readonly #options: AppenderOptions
  /** The segment that the next batch goes to; ahead of the disk by what is queued. */
  #segment: Segment | undefined
  #position = 0
  #startedAtMs = 0
  /** The last checkpoint in the segment; its beginning is one. */
  #checkpointedAt = 0

  constructor(options: AppenderOptions) {
    this.#options = options
    this.restart()
  }

  /** Nothing is queued any more; goes on from what is on disk. */
  restart(): void {
    const { state, clock } = this.#options
    this.#segment = state.active
    this.#position = this.#segment?.sizeBytes ?? 0
    const ageMs = Math.max(0, clock.now() - (this.#segment?.sinceMs ?? clock.now()))
    this.#startedAtMs = clock.monotonic() - ageMs
    this.#checkpointedAt = state.checkpoint?.position ?? 0
  }

  /** The bytes belong to the log from here on: offset and epoch are written into them, and readers may be given them. */
  append(batch: Uint8Array): AppendResult {
    const { clock, state, recent } = this.#options
    const config = this.#options.config()
    const nowMs = clock.now()
    const header = checkBatch(batch, config, nowMs)
    const repeated = header.producerId >= 0 ? this.#checkProducer(header) : undefined
    if (repeated) return this.#answerDuplicate(repeated.baseOffset, repeated.lastOffset)
    const stampsTime = config.messageTimestampType === 'LogAppendTime'
    const bytes = recent.own(batch)
    if (stampsTime) stampLogAppendTime(bytes, nowMs, logCrc32c)
    const placed = stampsTime ? readBatchHeader(viewOf(bytes)) : header
    const { durability } = config
    const round = this.#place(bytes, placed, config, durability)
    if (placed.producerId >= 0) state.producers.record(placed, nowMs)
    return {
      baseOffset: placed.baseOffset,
      logAppendTimeMs: stampsTime ? nowMs : -1,
      duplicate: false,
      durability,
      durable: round.committed,
    }
  }

  #checkProducer(header: BatchHeader): ProducerBatch | undefined {
    const { state, refused } = this.#options
    if (!refused.isEmpty) {
      if (!state.producers.has(header.producerId)) refused.check(header)
      refused.forget(header.producerId)
    }
    return state.producers.check(header)
  }

  /** Ends a producer's transaction here. A marker that came before is not written again. */
  appendMarker(marker: TransactionMarker): AppendResult {
    const { clock, state, recent } = this.#options
    const { producers } = state
    producers.checkMarker(marker)
    const markerOffset = producers.endedAt(marker)
    if (markerOffset !== undefined) return this.#answerDuplicate(markerOffset, markerOffset)
    const nowMs = clock.now()
    const bytes = recent.own(encodeMarker(marker, nowMs, logCrc32c))
    const header = readBatchHeader(viewOf(bytes))
    // Its coordinator will not end it twice.
    const durability = 'fsync'
    const round = this.#place(bytes, header, this.#options.config(), durability)
    const ended = producers.end(marker, header.baseOffset, nowMs)
    if (ended && marker.outcome === 'abort') {
      this.#segment!.index!.aborted.add(ended)
      state.abortedEnd = state.endOffset
    }
    const { baseOffset } = header
    return { baseOffset, logAppendTimeMs: -1, duplicate: false, durability, durable: round.committed }
  }

  /** Writes the offset into bytes and header, and queues the batch. */
  #place(bytes: Uint8Array, header: BatchHeader, config: LogConfig, durability: Durability): Round {
    const { state, recent, loop } = this.#options
    const baseOffset = state.endOffset
    const nextOffset = baseOffset + header.lastOffsetDelta + 1
    const view = viewOf(bytes)
    writeBaseOffset(view, 0, baseOffset)
    writeLeaderEpoch(view, 0, state.epochs.latest)
    header.baseOffset = baseOffset
    const boundary = this.#boundaryBefore(header, config)
    if (this.#position === 0) this.#begin(this.#segment!)
    this.#segment!.index!.add(baseOffset, this.#position, header.maxTimestamp)
    if (header.maxTimestamp < 0) this.#segment!.writtenMs = this.#options.clock.now()
    this.#position += bytes.length
    state.endOffset = nextOffset
    recent.add(baseOffset, nextOffset, bytes)
    return loop.add(bytes, baseOffset, nextOffset, { boundary, durability })
  }

  #answerDuplicate(baseOffset: number, lastOffset: number): AppendResult {
    const { state, loop, config } = this.#options
    const isDurable = lastOffset < state.highWatermark
    const durable = isDurable ? ALREADY_DURABLE : (loop.waitingFor(lastOffset) ?? ALREADY_DURABLE)
    const durability = isDurable && lastOffset >= state.synced.offset ? 'relaxed' : config().durability
    return { baseOffset, logAppendTimeMs: -1, duplicate: true, durability, durable }
  }

  #boundaryBefore(header: BatchHeader, config: LogConfig): RoundBoundary | undefined {
    const segment = this.#segment
    if (!segment || this.#mustRoll(segment, header, config)) return this.rollHere()
    if (this.#position - this.#checkpointedAt < this.#options.checkpointBytes()) return undefined
    this.#checkpointedAt = this.#position
    const { state } = this.#options
    const { baseOffset } = segment
    const bounds = { baseOffset, endOffset: state.endOffset, sizeBytes: this.#position }
    return {
      kind: 'checkpoint',
      position: this.#position,
      snapshot: encodeProducerSnapshot(state.producers, state.endOffset),
      index: segment.index!.encode(bounds),
    }
  }

  #mustRoll(segment: Segment, header: BatchHeader, config: LogConfig): boolean {
    if (this.#position === 0) return false
    if (this.#position + header.sizeBytes > config.segmentBytes) return true
    if (header.baseOffset + header.lastOffsetDelta - segment.baseOffset > SEGMENT_OFFSETS_MAX) return true
    const { segmentMs, maxCompactionLagMs, cleanupPolicy } = config
    const ageMaxMs = isCompacted(cleanupPolicy) ? Math.min(segmentMs, maxCompactionLagMs) : segmentMs
    return ageMaxMs >= 0 && this.#options.clock.monotonic() - this.#startedAtMs > ageMaxMs
  }

  /** Its age counts from its first append. */
  #begin(segment: Segment): void {
    segment.sinceMs = this.#options.clock.now()
    this.#startedAtMs = this.#options.clock.monotonic()
  }

  /** Bytes in the segment that the next batch goes to. */
  get position(): number {
    return this.#position
  }

  /** What is appended from now on goes into a new segment. */
  rollHere(): RoundBoundary {
    const { files, dir, limit, state, clock } = this.#options
    const segment = new Segment({ files, dir, limit, baseOffset: state.endOffset })
    segment.index = new SparseIndex()
    this.#segment = segment
    this.#position = 0
    this.#startedAtMs = clock.monotonic()
    this.#checkpointedAt = 0
    return { kind: 'roll', segment, snapshot: encodeProducerSnapshot(state.producers, state.endOffset) }
  }
}
