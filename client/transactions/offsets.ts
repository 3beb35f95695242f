/** Offsets that are committed with a transaction, and by whose right. */
import { type Clock, sleep } from '../../protocol/lib/clock.ts'
import { OttlaError } from '../errors.ts'
import { claimOfNobody, type GroupClaim, type OffsetToCommit } from './calls.ts'

/** A record that was handled, or where it was. */
export interface RecordPosition {
  topic: string
  partition: number
  offset: number
}

export interface MemberOffsets {
  claim: GroupClaim
  /** The next to be read in each partition. */
  offsets: OffsetToCommit[]
  noteCommitted(): void
}

/** A consumer in a group. */
export interface OffsetMember {
  /** Undefined while it waits for its group; throws NOT_ASSIGNED when a partition is another member's. */
  offsetsBehind(records: readonly RecordPosition[]): MemberOffsets | undefined
}

/** A consumer, or the name of a group that has no members. */
export type OffsetSource = OffsetMember | string

const REJOIN_POLL_MS = 50

export async function offsetsToCommit(
  source: OffsetSource,
  records: readonly RecordPosition[],
  clock: Clock,
  over: AbortSignal,
): Promise<MemberOffsets> {
  if (typeof source === 'string') {
    return { claim: claimOfNobody(source), offsets: offsetsAfter(records), noteCommitted: () => {} }
  }
  for (;;) {
    const found = source.offsetsBehind(records)
    if (found) return found
    // Between two generations; the partitions may well stay.
    if (over.aborted) throw new OttlaError('TIMEOUT', { message: 'the consumer waited for its group all the time' })
    await sleep(clock, REJOIN_POLL_MS, over).catch(() => {})
  }
}

/** The offset after the last of each partition. */
export function offsetsAfter(records: readonly RecordPosition[]): OffsetToCommit[] {
  const offsets = new Map<string, OffsetToCommit>()
  for (const { topic, partition, offset } of records) {
    const key = `${topic}/${partition}`
    const before = offsets.get(key)
    if (!before || before.offset <= offset) offsets.set(key, { topic, partition, offset: offset + 1 })
  }
  return [...offsets.values()]
}
