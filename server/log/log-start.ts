/**
 * Where the log begins: moved on by retention and by DeleteRecords, never back.
 *
 * The new start is durable in the manifest before anybody is told of it and before any file goes: a start that was heard
 * of never moves back, whatever fails. Whole segments below it are deleted when their last reader is done; nobody waits
 * for that.
 */
import { KafkaError } from '../../protocol/errors.ts'
import { isNoSpace } from '../storage/files.ts'
import type { LogConfig } from './log-config.ts'
import { isDeleted } from './log-config.ts'
import { storageRefusal } from './log-fault.ts'
import type { LogState } from './log-state.ts'
import type { LogWriter } from './log-writer.ts'
import type { PatientClock } from './patient-clock.ts'
import { isWhollyExpired, retainedFrom, segmentEndBelow } from './retention.ts'
import type { Segment } from './segment.ts'

/**
 * Nobody is forgotten so soon after a start, which believes whatever clock it finds: who sends again what an outage left
 * unanswered (Kafka's clients for two minutes) must be known, or it is there twice.
 */
const PRODUCERS_GRACE_MS = 600_000

export interface LogStartOptions {
  dir: string
  time: PatientClock
  config: () => LogConfig
  state: LogState
  writer: LogWriter
  warn: (message: string) => void
  /** Resolves when all that readers see is on disk. */
  flush: () => Promise<void>
  /** Closes the segment that is written to, if nothing is being written. Resolves at once if something is. */
  rollIdle: () => Promise<void>
}

export class LogStart {
  readonly #options: LogStartOptions
  #isAhead = false
  /** One move after another. */
  #lastMove: Promise<unknown> = Promise.resolve()

  constructor(options: LogStartOptions) {
    this.#options = options
  }

  /** Records below `offset` are gone for readers from now on; -1 means all that is durable. */
  async deleteBefore(offset: number): Promise<number> {
    const { state } = this.#options
    if (state.fault) throw storageRefusal(state.fault)
    const target = offset === -1 ? state.highWatermark : offset
    if (target > state.highWatermark || target < 0) {
      const { startOffset, highWatermark } = state
      throw new KafkaError(
        'OFFSET_OUT_OF_RANGE',
        `records can be deleted up to offset ${highWatermark}, the log start is ${startOffset}; ${target} is neither`,
      )
    }
    if (target > state.startOffset) await this.#moveTo(target)
    return state.startOffset
  }

  /** Deletes what the configuration no longer keeps, and forgets producers that wrote nothing for long. */
  async enforceRetention(deletableUpTo: (offset: number) => number): Promise<number> {
    const { time, state, dir, warn } = this.#options
    const nowMs = time.now()
    const { aheadMs } = time
    if (aheadMs !== undefined && !this.#isAhead) {
      warn(`the clock was set ${aheadMs} ms ahead: deletions from ${dir} follow it slowly`)
    }
    this.#isAhead = aheadMs !== undefined
    const config = this.#options.config()
    if (time.upMs >= PRODUCERS_GRACE_MS) {
      state.producers.expire(nowMs - config.producerIdExpirationMs, state.highWatermark)
    }
    if (!isDeleted(config.cleanupPolicy)) return 0
    if (isWhollyExpired(state, config, nowMs)) await this.#options.rollIdle()
    const before = state.sizeBytes
    const asked = retainedFrom(state, config, nowMs)
    const start = asked > state.startOffset ? segmentEndBelow(state, deletableUpTo(asked)) : asked
    if (start > state.startOffset) await this.#moveTo(start)
    return before - state.sizeBytes
  }

  #moveTo(offset: number): Promise<void> {
    const moved = this.#lastMove.then(() => this.#moveNow(offset))
    this.#lastMove = moved.catch(() => {})
    return moved
  }

  async #moveNow(offset: number): Promise<void> {
    const { state, warn, flush } = this.#options
    if (offset <= state.startOffset) return
    // A power cut must not take what lies at the log's new beginning.
    if (offset > state.synced.offset) await flush()
    state.plannedStart = offset
    try {
      await this.#saveManifest(state.segmentsBelow(offset))
    } finally {
      state.plannedStart = 0
    }
    const doomed = state.segmentsBelow(offset)
    state.startOffset = offset
    state.segments = state.segments.slice(doomed.length)
    state.epochs.dropBelow(offset)
    state.tellChange()
    // Readers may hold one for a while; nobody waits for them here.
    for (const segment of doomed) segment.remove().catch((error) => warn(`${segment.path} was not deleted: ${error}`))
  }

  async #saveManifest(doomed: readonly Segment[]): Promise<void> {
    const { writer } = this.#options
    try {
      await writer.saveManifest()
    } catch (error) {
      if (!isNoSpace(error) || doomed.length === 0) throw error
      // The disk is full, and deleting is the cure: indexes of what goes anyway make room for the manifest.
      for (const segment of doomed) await segment.removeIndex()
      await writer.saveManifest()
    }
  }
}
