import type { CodecRegistry } from '../../protocol/compression.ts'
import type { Clock } from '../../protocol/lib/clock.ts'
import type { DiskSpace } from '../storage/disk-space.ts'
import type { Files } from '../storage/files.ts'
import type { CommitActivity } from './compaction/pace.ts'
import type { LogConfig } from './log-config.ts'
import type { LogFault } from './log-fault.ts'
import type { OpenFileLimit } from './open-file-limit.ts'
import type { RecentBudget } from './recent-batches.ts'

export interface LogLogger {
  warn(message: string): void
}

/** What a partition's log is given when it is opened (open-log.ts). */
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
