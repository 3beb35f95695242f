/**
 * Where a relay is to die: just before a call on the disk that belongs to a roll, a checkpoint, a compaction, a retention
 * or the end of a transaction. The relay's own process counts the calls and kills itself (SIGKILL, no handler runs).
 */
import type { DiskCall } from '../../support/faulty-files.ts'

export interface KillAim {
  call: DiskCall
  /** Source of a regular expression. */
  path: string
  /** The n-th such call, from 1. */
  at: number
}

const PARTITION = 'topics/[^/]+/\\d+'

/** By the moment that is hit. Each is reached within a second under load. */
export const AIMS: Readonly<Record<string, Omit<KillAim, 'at'>>> = {
  'roll: snapshot written': { call: 'rename', path: `${PARTITION}/\\d+\\.snapshot` },
  'roll: new segment made': { call: 'open', path: `${PARTITION}/\\d{20}\\.log$` },
  'roll, checkpoint or retention: manifest replaced': { call: 'rename', path: `${PARTITION}/manifest` },
  'roll: folder synced': { call: 'syncDir', path: `${PARTITION}$` },
  'checkpoint: index written': { call: 'writev', path: `${PARTITION}/\\d+\\.index$` },
  'commit: written': { call: 'writev', path: `${PARTITION}/\\d{20}\\.log$` },
  'commit: synced': { call: 'sync', path: `${PARTITION}/\\d{20}\\.log$` },
  'compaction: new segment written': { call: 'writev', path: `${PARTITION}/.*\\.log\\.new$` },
  'compaction: new segment named': { call: 'rename', path: `${PARTITION}/.*\\.log\\.new$` },
  'compaction or retention: old segment removed': { call: 'remove', path: `${PARTITION}/.*\\.log$` },
  'transaction: decision or state written': { call: 'writev', path: 'transactions/\\d+\\.log$' },
  'transaction: decision or state synced': { call: 'sync', path: 'transactions/\\d+\\.log$' },
  'group: commit written': { call: 'writev', path: 'groups/\\d+\\.log$' },
}
