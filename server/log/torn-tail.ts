/**
 * A scan met bad bytes. Is that the end of a write that a crash interrupted, or damage to data that was durable?
 *
 * Torn, and cut: in the last segment, beyond every point known to be durable, and no batch after it begins a commit.
 * Damage: anything else. See commit-mark.ts for why that is certain.
 */
import type { OpenFile } from '../storage/files.ts'
import { readFully } from '../storage/files.ts'
import type { LogFault, TailCut } from './log-fault.ts'
import { makeFault } from './log-fault.ts'
import type { Segment } from './segment.ts'
import type { ScanStop } from './segment-scan.ts'
import { findLaterBatches } from './segment-scan.ts'

export interface TailFacts {
  /** Of the file. */
  sizeBytes: number
  /** Bytes of this segment below this were durable. */
  knownPosition: number
  isLast: boolean
}

/** Neither: only zeros follow, which a file system may leave behind. They are cut without a word. */
export type TailVerdict = { fault?: LogFault; cut?: TailCut }

const REASONS: Record<ScanStop['reason'], string> = {
  short: 'a batch that is not all there',
  zero: 'zeros where a batch should be',
  size: 'a batch with an impossible size',
  magic: 'bytes that are no record batch',
  crc: 'a batch with a wrong checksum',
  fields: 'a batch with impossible fields',
  offset: 'a batch with an offset out of line',
}

export async function judgeTail(
  file: OpenFile,
  segment: Segment,
  stop: ScanStop,
  facts: TailFacts,
): Promise<TailVerdict> {
  const { position } = stop
  const offset = segment.endOffset
  const damage = (why: string): TailVerdict => ({
    fault: makeFault('corrupt', segment.name, position, offset, `${REASONS[stop.reason]}; ${why}`),
  })
  if (!facts.isLast) return damage('a later segment exists')
  if (position < facts.knownPosition) return damage(`the file was durable up to byte ${facts.knownPosition}`)
  const later = await findLaterBatches(file, position, facts.sizeBytes, offset)
  const settled = later.find((batch) => batch.beginsCommit)
  if (settled) return damage(`a later commit follows at byte ${settled.position} (offset ${settled.baseOffset})`)
  if (later.length === 0 && (await isAllZero(file, position, facts.sizeBytes))) return {}
  return {
    cut: {
      file: segment.name,
      position,
      bytes: facts.sizeBytes - position,
      offset,
      wholeBatches: later.length,
      reason: REASONS[stop.reason],
    },
  }
}

async function isAllZero(file: OpenFile, from: number, to: number): Promise<boolean> {
  const chunk = new Uint8Array(64 * 1024)
  for (let at = from; at < to; at += chunk.length) {
    const count = await readFully(file, chunk, at)
    for (let index = 0; index < Math.min(count, to - at); index++) if (chunk[index] !== 0) return false
  }
  return true
}
