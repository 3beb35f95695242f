/** The offset at which a share group begins in a log. */
import type { ShareStart } from '../../config/share-start.ts'

/** A partition's log, as far as it must be known to share groups. */
export interface SharedLog {
  readonly startOffset: number
  readonly highWatermark: number
  readonly leaderEpoch: number
  readonly state: 'online' | 'offline'
  offsetForTimestamp(timestampMs: number): Promise<{ offset: number } | undefined>
}

export async function startOffset(start: ShareStart, log: SharedLog, nowMs: number): Promise<number> {
  if (start === 'earliest') return log.startOffset
  if (start === 'latest') return log.highWatermark
  const found = await log.offsetForTimestamp(Math.max(0, nowMs - start.agoMs))
  return found?.offset ?? log.highWatermark
}
