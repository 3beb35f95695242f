/** What all parts of one pass share. */
import type { CodecRegistry } from '../../../protocol/compression.ts'
import type { Files } from '../../storage/files.ts'
import type { LogConfig } from '../log-config.ts'
import type { LogState } from '../log-state.ts'
import type { OpenFileLimit } from '../open-file-limit.ts'
import type { Segment } from '../segment.ts'
import type { SparseIndex } from '../sparse-index.ts'
import type { AbortedRanges } from './aborted-ranges.ts'
import type { Pace } from './pace.ts'
import type { Skips } from './skips.ts'

export interface PassContext {
  files: Files
  dir: string
  limit: OpenFileLimit
  state: LogState
  config: LogConfig
  codecs: CodecRegistry
  pace: Pace
  /** Wall clock at the beginning of the pass. */
  nowMs: number
  aborted: AbortedRanges
  skips: Skips
  indexOf: (segment: Segment) => Promise<SparseIndex>
  /** Puts one segment in the place of others, in memory. Throws when they are no longer all there. */
  replace: (old: readonly Segment[], replacement: Segment) => void
  /** The manifest names it, too; the others go. */
  nameReplacements: () => Promise<void>
}
