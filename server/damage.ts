/**
 * Where a damaged log stops knowing. Its end may lie lower than it once did, so from there on no answer may be derived
 * from it: told "the log ends here", a replica would cut records that exist nowhere else any more.
 */
import { ErrorCode } from '../protocol/errors.ts'
import type { PartitionLog } from './log/partition-log.ts'

/**
 * The first offset that is damaged or missing; infinity in a whole log. A failed write loses nothing that was readable.
 * Who reads committed records stops at an open transaction: what would have ended it may be lost.
 */
export function damagedFrom({ fault, lastStableOffset }: PartitionLog, isCommitted = false): number {
  if (!fault || fault.kind === 'write') return Number.POSITIVE_INFINITY
  return isCommitted ? Math.min(fault.offset, lastStableOffset) : fault.offset
}

/** KAFKA_STORAGE_ERROR when what is said about `offset` would be a guess. */
export const damageCode = (log: PartitionLog, offset: number, isCommitted = false): number =>
  offset >= damagedFrom(log, isCommitted) ? ErrorCode.KAFKA_STORAGE_ERROR : ErrorCode.NONE
