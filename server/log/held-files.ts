/**
 * The files of a log as they are in one turn of the event loop, for a backup. Until they are released none of them is
 * removed; what is appended meanwhile lies behind `sizeBytes`.
 */
import type { LogFault } from './log-fault.ts'
import { snapshotName } from './log-names.ts'
import type { LogState } from './log-state.ts'
import type { Manifest } from './manifest.ts'

export interface HeldFile {
  name: string
  /** Durable up to here. Undefined for small files that are never changed. */
  sizeBytes?: number
}

export interface HeldFiles {
  files: readonly HeldFile[]
  manifest: Manifest
  /** Why they may not be all that there was: a log that was opened damaged knows of nothing behind the damage. */
  fault: LogFault | undefined
  /** Call it once. */
  release(): void
}

/** `path` is the log's folder below the data folder: `metadata`, `topics/NAME.ID/0`. */
export type HeldLog = HeldFiles & { path: string }

export function holdFiles(state: LogState): HeldFiles {
  const releases = state.segments.map((segment) => segment.hold())
  state.holds++
  const segments = state.segments.map(({ name, sizeBytes }) => ({ name, sizeBytes }))
  const snapshots = state.snapshots.filter((offset) => offset <= state.highWatermark)
  return {
    files: [...segments, ...snapshots.map((offset) => ({ name: snapshotName(offset) }))],
    manifest: state.manifest(),
    fault: state.fault,
    release: () => {
      state.holds--
      for (const release of releases) release()
    },
  }
}
