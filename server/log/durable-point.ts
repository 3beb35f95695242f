/** Up to where a log that nobody has open is known to have been durable, by whichever of its small files knows most. */
import type { Files } from '../storage/files.ts'
import { type Manifest, readCleanMarker } from './manifest.ts'
import { readSyncPoint } from './sync-point.ts'

export interface DurablePoint {
  endOffset: number
  /** Segment that was written to last, and how much of it. */
  baseOffset: number
  position: number
}

export async function durablePoint(files: Files, dir: string, manifest: Manifest | undefined): Promise<DurablePoint> {
  const marker = await readCleanMarker(files, dir)
  const point = await readSyncPoint(files, dir)
  const { sealed = [], active = null, checkpoint = null } = manifest ?? {}
  const ends = [sealed.at(-1), checkpoint, marker, point].map((known) => known?.endOffset ?? 0)
  const places = [{ baseOffset: -1, position: 0 }]
  if (active !== null && checkpoint) places.push({ baseOffset: active, position: checkpoint.position })
  if (marker && marker.active !== null) places.push({ baseOffset: marker.active, position: marker.sizeBytes })
  if (point) places.push({ baseOffset: point.baseOffset, position: point.position })
  places.sort((a, b) => a.baseOffset - b.baseOffset || a.position - b.position)
  const { baseOffset, position } = places.at(-1)!
  return { endOffset: Math.max(...ends), baseOffset, position }
}
