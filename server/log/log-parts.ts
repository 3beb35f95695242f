/**
 * What a partition's log is made of, and how its parts are put together.
 *
 *   appender  gives batches their place        loop      group commit of what is queued
 *   writer    puts rounds on disk              outcome   what becomes of them
 *   reads     from memory and disk             times     by timestamp
 *   gate      whether appends are taken        syncs     what follows a commit a little later
 *   start     where the log begins             end       where it ends
 *   compaction
 */
import { AppendGate } from './append-gate.ts'
import { Appender, CHECKPOINT_BYTES_DEFAULT } from './appender.ts'
import type { Round } from './commit-loop.ts'
import { CommitLoop } from './commit-loop.ts'
import { CommitOutcome } from './commit-outcome.ts'
import { LogCompaction } from './compaction/log-compaction.ts'
import { LogEnd } from './log-end.ts'
import type { PartitionLogOptions } from './log-options.ts'
import { LogReader } from './log-reader.ts'
import { LogReads } from './log-reads.ts'
import { LogStart } from './log-start.ts'
import { LogState } from './log-state.ts'
import { LogWriter } from './log-writer.ts'
import type { OpenFileLimit } from './open-file-limit.ts'
import { PatientClock } from './patient-clock.ts'
import { RecentBatches, RecentBudget } from './recent-batches.ts'
import type { RecoveredLog } from './recovery.ts'
import { recoverLog } from './recovery.ts'
import { RefusedProducers } from './refused-producers.ts'
import { SyncSchedule } from './sync-schedule.ts'
import { TimeLookup } from './time-lookup.ts'

export type LogParts = ReturnType<typeof assembleLog>

export function assembleLog(options: PartitionLogOptions & { limit: OpenFileLimit }, recovered: RecoveredLog) {
  const { files, dir, clock, config, limit, space, checkpointBytes: between = CHECKPOINT_BYTES_DEFAULT } = options
  const warn = (message: string) => options.logger?.warn(message)
  const time = new PatientClock(clock)
  const checkpointBytes = typeof between === 'number' ? () => between : between

  const state = new LogState(recovered, options.onFault)
  const recent = new RecentBatches(options.recentBudget ?? new RecentBudget())
  const refused = new RefusedProducers()
  const writer = new LogWriter({ files, dir, state, limit, syncCounter: recovered.syncCounter, warn })
  const reader = new LogReader({ files, dir, state, onDamage: (fault) => state.goOffline(fault) })
  const gate = new AppendGate({ files, dir, clock, state, space })

  const commits = {
    write: (round: Round) => writer.write(round),
    committed: (round: Round, isLast: boolean) => outcome.committed(round, isLast),
    failed: (error: unknown) => outcome.failed(error),
    givenUp: (round: Round) => outcome.givenUp(round),
  }
  const loop = new CommitLoop(commits, clock, options.commits)
  const appender = new Appender({ files, dir, clock, config, state, limit, loop, recent, refused, checkpointBytes })
  const syncs = new SyncSchedule({ clock, config, state, writer, loop })

  const flush = () => syncs.flush()
  const rollIdle = async () => {
    if (!loop.isIdle || gate.isShut || state.fault || appender.position === 0) return
    await loop.addBoundary(state.endOffset, appender.rollHere()).committed
  }
  const start = new LogStart({ dir, time, config, state, writer, warn, flush, rollIdle })
  const compaction = new LogCompaction({
    ...{ files, dir, limit, clock, time, config, state, writer, warn, rollIdle },
    indexOf: async (segment) => segment.index ?? (await reader.loadIndex(segment)),
    changedBelow: (offset) => recent.forgetBelow(offset),
  })

  /** Reads the folder anew, as a start would. Nothing is queued or being written. */
  const reload = async () => {
    syncs.cancel()
    await compaction.reset()
    await writer.release()
    const again = await recoverLog({ files, dir, limit, nowMs: clock.now() })
    recent.clear()
    reader.forgetHints()
    const replaced = state.replaceBy(again)
    writer.restart(again.syncCounter)
    appender.restart()
    for (const segment of replaced) segment.retire().catch(() => {})
    state.tellChange()
  }
  const outcome = new CommitOutcome({ dir, state, writer, gate, syncs, refused, reload })
  const end = new LogEnd({ dir, state, writer, gate, loop, compaction, reload })

  const reads = new LogReads(state, reader, recent)
  const times = new TimeLookup(state, reader, options.codecs)
  return { state, recent, refused, writer, gate, loop, appender, syncs, start, compaction, end, reads, times }
}
