/**
 * Where a damaged log stops knowing. Its end may lie lower than it once did, so from there on no answer may be derived
 * from it: told "the log ends here", a replica would cut records that exist nowhere else any more.
 */
import { ErrorCode } from '../protocol/errors.ts'
import type { PartitionLog } from './log/partition-log.ts'

/** The first offset that is damaged or missing; infinity in a whole log. A failed write loses nothing that was readable. */
export const damagedFrom = ({ fault }: PartitionLog): number =>
  fault && fault.kind !== 'write' ? fault.offset : Number.POSITIVE_INFINITY

/** KAFKA_STORAGE_ERROR when what is said about `offset` would be a guess. */
export const damageCode = (log: PartitionLog, offset: number): number =>
  offset >= damagedFrom(log) ? ErrorCode.KAFKA_STORAGE_ERROR : ErrorCode.NONE
