/**
 * What is wrong with a partition's log, and what was found when it was opened.
 *
 * A fault takes the partition offline: nothing is appended, offsets from `fault.offset` on are not served, what lies
 * below is. Nothing is deleted.
 */
import { KafkaError } from '../../protocol/errors.ts'
import { StorageError } from '../storage/files.ts'

export type FaultKind =
  /** Bytes that were durable no longer hold what was written. */
  | 'corrupt'
  /** Offsets are missing between two files, or the log ends below what was known to be durable. */
  | 'gap'
  /** A file that the manifest names is not there, or has another size. */
  | 'missing'
  /** A write or a sync failed: what the disk holds beyond the durable end is unknown. */
  | 'write'

export interface LogFault {
  kind: FaultKind
  file: string
  /** Byte in the file, where known. */
  position: number | undefined
  /** The first offset that is affected. */
  offset: number
  message: string
}

export const makeFault = (
  kind: FaultKind,
  file: string,
  position: number | undefined,
  offset: number,
  what: string,
): LogFault => ({
  kind,
  file,
  position,
  offset,
  message: `${file}${position === undefined ? '' : ` at byte ${position}`}: ${what} (offset ${offset})`,
})

export function writeFault(error: unknown, file: string, offset: number): LogFault {
  const what = error instanceof StorageError ? error.message : String(error)
  return makeFault('write', file, undefined, offset, `writing failed, appends are refused until a restart: ${what}`)
}

/** KAFKA_STORAGE_ERROR, the answer to everything that a fault forbids. */
export const storageRefusal = (fault: LogFault): KafkaError => new KafkaError('KAFKA_STORAGE_ERROR', fault.message)

/** What was cut off the end at opening: a write that never became durable. */
export interface TailCut {
  file: string
  position: number
  bytes: number
  /** The offset that the next record gets: that of the first batch that was cut. */
  offset: number
  /** Whole batches among the cut bytes. They belong to the unfinished commit and were never acknowledged. */
  wholeBatches: number
  reason: string
}

export interface RecoveryReport {
  isNew: boolean
  /** Closed in order: nothing needed to be scanned. */
  isClean: boolean
  segments: number
  scannedBytes: number
  cut: TailCut | undefined
  /** Caches of the log that were lost or damaged and are made anew. */
  rebuilt: string[]
  /** Left-overs of a retention, a truncation or a replacement that a crash interrupted. */
  removed: string[]
  fault: LogFault | undefined
}
