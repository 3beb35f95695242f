/**
 * Where the log ends: set back by a truncation, which takes appends, compaction and the disk to one decision and then
 * reads the folder anew (truncation.ts carries it out).
 */
import { KafkaError } from '../../protocol/errors.ts'
import type { AppendGate } from './append-gate.ts'
import type { CommitLoop } from './commit-loop.ts'
import type { LogCompaction } from './compaction/log-compaction.ts'
import { storageRefusal, writeFault } from './log-fault.ts'
import type { LogState } from './log-state.ts'
import type { LogWriter } from './log-writer.ts'

export interface LogEndOptions {
  dir: string
  state: LogState
  writer: LogWriter
  gate: AppendGate
  loop: CommitLoop
  compaction: LogCompaction
  /** Reads the folder anew, as a start would. */
  reload: () => Promise<void>
}

export class LogEnd {
  readonly #options: LogEndOptions

  constructor(options: LogEndOptions) {
    this.#options = options
  }

  /** Cuts at `offset`, or at the beginning of the batch that holds it. Returns the new end. */
  async truncateTo(offset: number): Promise<number> {
    const { dir, state, gate, loop, compaction } = this.#options
    const { startOffset, endOffset, fault } = state
    if (fault) throw storageRefusal(fault)
    if (offset < startOffset || offset > endOffset) {
      throw new KafkaError('OFFSET_OUT_OF_RANGE', `a log of ${startOffset} to ${endOffset} can't end at ${offset}`)
    }
    gate.shut(`${dir} is being truncated`)
    try {
      await loop.drained()
      await compaction.interrupt()
      if (state.fault) throw storageRefusal(state.fault)
      if (offset < state.highWatermark) await this.#cut(offset)
      return state.endOffset
    } finally {
      gate.open()
    }
  }

  async #cut(offset: number): Promise<void> {
    const { dir, state, writer, reload } = this.#options
    try {
      await writer.saveTruncation(offset)
      await reload()
    } catch (error) {
      // Decided or not? The disk knows, the next start will ask it. Until then nothing may be appended that it would cut.
      const fault = writeFault(error, dir, offset)
      state.goOffline(fault)
      throw storageRefusal(fault)
    }
  }
}
