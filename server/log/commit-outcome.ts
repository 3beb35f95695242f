/**
 * What becomes of a round of commits. Written: readers see it. Failed: it was never acknowledged, and is cut away again.
 *
 * When the disk is full: the round that met it, and all behind it, are refused with KAFKA_STORAGE_ERROR (retriable); the
 * file is cut back to its durable end; appends are refused until there is room again, which is looked for once a
 * second. If cutting fails, or a sync found the disk full, the log goes offline instead.
 */
import { KafkaError } from '../../protocol/errors.ts'
import { batchesIn } from '../../protocol/record-batch.ts'
import { isNoSpace } from '../storage/files.ts'
import type { AppendGate } from './append-gate.ts'
import type { CommitTarget, Round } from './commit-loop.ts'
import { storageRefusal, writeFault } from './log-fault.ts'
import type { LogState } from './log-state.ts'
import type { LogWriter } from './log-writer.ts'
import { SyncFailure } from './log-writer.ts'
import type { RefusedProducers } from './refused-producers.ts'
import type { SyncSchedule } from './sync-schedule.ts'

export interface CommitOutcomeOptions {
  dir: string
  state: LogState
  writer: LogWriter
  gate: AppendGate
  syncs: SyncSchedule
  refused: RefusedProducers
  /** Reads the folder anew, as a start would. */
  reload: () => Promise<void>
}

export class CommitOutcome implements Omit<CommitTarget, 'write'> {
  readonly #options: CommitOutcomeOptions

  constructor(options: CommitOutcomeOptions) {
    this.#options = options
  }

  committed(round: Round, isLast: boolean): void {
    const { state, syncs } = this.#options
    const { active } = state
    if (active && round.sizeBytes > 0) {
      active.sizeBytes += round.sizeBytes
      active.endOffset = round.endOffset
      active.maxTimestamp = active.index!.maxTimestamp
      state.highWatermark = round.endOffset
      state.producers.transactions.settle(round.endOffset)
    }
    if (round.isSynced) state.noteSynced()
    else syncs.flushSoon()
    if (isLast) syncs.noteSyncPointSoon()
    state.tellChange()
  }

  async failed(error: unknown): Promise<Error> {
    if (!isNoSpace(error)) return this.#goOffline(error)
    const { dir, gate, writer, reload } = this.#options
    const message = `the disk that holds ${dir} is full; appends are refused until there is room`
    gate.shutForRoom(message)
    try {
      await writer.cutUnfinished()
      await reload()
      return new KafkaError('KAFKA_STORAGE_ERROR', message)
    } catch (second) {
      return this.#goOffline(second)
    }
  }

  async #goOffline(error: unknown): Promise<Error> {
    const { dir, state, writer } = this.#options
    const hasSyncFailed = error instanceof SyncFailure
    const cause = hasSyncFailed ? error.cause : error
    const durableEnd = hasSyncFailed ? state.synced.offset : state.highWatermark
    const fault = writeFault(cause, state.active?.path ?? dir, durableEnd)
    state.goOffline(fault)
    // What the kernel still shows of the failed write must not look written after a restart. May fail; tried once.
    await writer.cutUnfinished(hasSyncFailed).catch(() => {})
    return storageRefusal(fault)
  }

  /** What the producers of these batches send next must not overtake them. */
  givenUp({ pieces }: Round): void {
    const { refused, state } = this.#options
    for (const piece of pieces) {
      for (const { header } of batchesIn(piece)) refused.note(header, state.producers)
    }
  }
}
