/**
 * What follows a commit a little later: a sync for what was written without one, and the note on disk of how far a sync
 * has covered the log.
 */
import type { Clock, Timer } from '../../protocol/lib/clock.ts'
import type { CommitLoop } from './commit-loop.ts'
import type { LogConfig } from './log-config.ts'
import { storageRefusal } from './log-fault.ts'
import type { LogState } from './log-state.ts'
import type { LogWriter } from './log-writer.ts'

const SYNC_POINT_DELAY_MS = 10

export interface SyncScheduleOptions {
  clock: Clock
  config: () => LogConfig
  state: LogState
  writer: LogWriter
  loop: CommitLoop
}

export class SyncSchedule {
  readonly #options: SyncScheduleOptions
  #syncPointTimer: Timer | undefined
  #flushTimer: Timer | undefined
  #isClosed = false

  constructor(options: SyncScheduleOptions) {
    this.#options = options
  }

  /** When nothing more comes for a moment: under load the commits themselves tell how far the disk is (commit-mark.ts). */
  noteSyncPointSoon(): void {
    const { clock, loop, writer } = this.#options
    if (this.#isClosed) return
    this.#syncPointTimer ??= clock.setTimer(SYNC_POINT_DELAY_MS, () => {
      this.#syncPointTimer = undefined
      if (loop.isIdle) writer.noteSyncPoint()
      else this.noteSyncPointSoon()
    })
  }

  /** After flush.ms what was written without a sync gets one. */
  flushSoon(): void {
    const { clock, config, state } = this.#options
    if (state.isSynced || this.#isClosed) return
    this.#flushTimer ??= clock.setTimer(config().flushMs, () => {
      this.#flushTimer = undefined
      this.flush().catch(() => {})
    })
  }

  /** Resolves when all that readers see is on disk. */
  async flush(): Promise<void> {
    const { state, loop } = this.#options
    if (state.isSynced) return
    // A file whose sync failed is not synced again: the kernel would say that all is well.
    if (state.fault) throw storageRefusal(state.fault)
    await loop.addBoundary(state.endOffset, { kind: 'flush' }).committed
  }

  /** What was to follow is void: the log is read anew. */
  cancel(): void {
    this.#syncPointTimer?.cancel()
    this.#syncPointTimer = undefined
    this.#flushTimer?.cancel()
    this.#flushTimer = undefined
  }

  close(): void {
    this.#isClosed = true
    this.cancel()
  }
}
