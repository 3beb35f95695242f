/** Where a reader begins. */
import type { CodecRegistry } from '../../protocol/compression.ts'
import { OttlaError } from '../errors.ts'
import { END, type Source, START } from './source.ts'

/**
 *  - 'beginning': the first record there still is; with a replica, the first that it holds.
 *  - 'end' (default): what is written from now on.
 *  - { offset }: that offset in every partition. { offsets }: by partition; those not named begin at the beginning.
 *  - { timestamp }: in each partition the first record that is at least that young (milliseconds since the epoch).
 *  - { last: N }: the N newest records over all partitions read, by their timestamps (of two of the same time the one
 *    in the lower partition counts as older), as of the moment of reading; whole tails of partitions, in offset order.
 *    Of a single partition, its last N offsets: fewer records where compaction or a transaction left holes. With a
 *    replica that holds anything, of what it holds.
 */
export type StartPosition =
  | 'beginning'
  | 'end'
  | { offset: number }
  | { offsets: Readonly<Record<number, number>> | ReadonlyMap<number, number> }
  | { timestamp: number }
  | { last: number }

export interface PartitionStart {
  partition: number
  from: number
  isExact: boolean
}

export async function resolveStart(
  source: Source,
  from: StartPosition,
  partitions: readonly number[],
  codecs: CodecRegistry,
): Promise<PartitionStart[]> {
  const each = (start: (partition: number) => Promise<number> | number, isExact = false) =>
    Promise.all(partitions.map(async (partition) => ({ partition, from: await start(partition), isExact })))
  if (from === 'beginning') return each(() => START)
  if (from === 'end') return each(() => END)
  if ('offset' in from) return each(() => checked(from.offset, 'offset'), true)
  if ('offsets' in from) return each((partition) => checked(offsetIn(from.offsets, partition), 'offset'), true)
  if ('timestamp' in from) {
    checked(from.timestamp, 'timestamp')
    return each((partition) => source.offsetForTimestamp(partition, from.timestamp))
  }
  const count = checked(from.last, 'last')
  if (partitions.length === 1) return each((partition) => lastOffsets(source, partition, count))
  const { lastRecords } = await import('./last-records.ts')
  return lastRecords(source, partitions, count, codecs)
}

async function lastOffsets(source: Source, partition: number, count: number): Promise<number> {
  const { start, end } = await source.bounds(partition, false)
  return Math.max(start, end - count)
}

function offsetIn(offsets: Readonly<Record<number, number>> | ReadonlyMap<number, number>, partition: number): number {
  const offset = offsets instanceof Map ? offsets.get(partition) : (offsets as Record<number, number>)[partition]
  return offset ?? START
}

function checked(value: number, name: string): number {
  if (Number.isSafeInteger(value) && (value >= 0 || value === START)) return value
  throw new OttlaError('INVALID_ARGUMENT', { message: `${name} cannot be ${value}` })
}
