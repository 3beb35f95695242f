/**
 * What retention would delete now: whole segments from the front, by age of their youngest record and by size.
 */
import type { LogConfig } from './log-config.ts'
import type { LogState } from './log-state.ts'

/** Whether every record of the log, those in the active segment too, is past its time. */
export function isWhollyExpired(state: LogState, config: LogConfig, nowMs: number): boolean {
  if (config.retentionMs < 0 || state.segments.length === 0 || !state.active || state.active.sizeBytes === 0)
    return false
  return state.segments.every((segment) => nowMs - segment.newestMs > config.retentionMs)
}

/** The last segment's end that is not beyond `offset`, or the log start: retention takes whole segments. */
export function segmentEndBelow(state: LogState, offset: number): number {
  const ends = state.segments.filter((segment) => segment.isSealed).map(({ endOffset }) => endOffset)
  return Math.max(state.startOffset, ...ends.filter((end) => end <= offset))
}

/** The log start that the configuration asks for; never within or beyond the active segment. */
export function retainedFrom(state: LogState, config: LogConfig, nowMs: number): number {
  const sealed = state.segments.filter((segment) => segment.isSealed)
  let start = state.startOffset
  for (const segment of sealed) {
    if (config.retentionMs < 0 || nowMs - segment.newestMs <= config.retentionMs) break
    start = Math.max(start, segment.endOffset)
  }
  if (config.retentionBytes < 0) return start
  let excessBytes = state.sizeBytes - config.retentionBytes
  for (const segment of sealed) {
    if (segment.sizeBytes > excessBytes) break
    excessBytes -= segment.sizeBytes
    start = Math.max(start, segment.endOffset)
  }
  return start
}
