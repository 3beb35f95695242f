/**
 * Offsets that are committed by transactions: what a hand-in, a decision, and a plain commit in between leave in the log.
 *
 * A decision is one batch of records, whole or not at all, and made twice it changes nothing the second time.
 */
import type { TransactionOutcome } from '../../protocol/transaction-marker.ts'
import type { GroupRecord } from './group-records.ts'
import { nothingPending } from './held-group.ts'
import type { CommittedOffset, NewOffset, TopicPartition } from './offsets.ts'
import type { PendingOffsets } from './pending-offsets.ts'

export interface ProducerIdentity {
  producerId: number
  producerEpoch: number
}

/** What transactions that are open may hold of offsets together. */
export const PENDING_BYTES_MAX = 32 * 1024 * 1024

export function handedIn(
  groupId: string,
  { producerId, producerEpoch }: ProducerIdentity,
  offsets: readonly NewOffset[],
  { committedAtMs, isMembers }: { committedAtMs: number; isMembers: boolean },
): GroupRecord[] {
  const records = new Map<string, GroupRecord>()
  for (const { topicId, partition, ...committed } of offsets) {
    const value = { ...committed, committedAtMs, producerEpoch, isMembers }
    records.set(`${topicId}/${partition}`, { kind: 'pending', groupId, at: { topicId, partition }, producerId, value })
  }
  return [...records.values()]
}

/** `offsetRecord` makes of what was handed in what counts. */
export function decided(
  groupId: string,
  pending: PendingOffsets,
  producerId: number,
  outcome: TransactionOutcome,
  offsetRecord: (at: TopicPartition, value: Omit<CommittedOffset, 'knownFrom'>, isMembers: boolean) => GroupRecord,
): GroupRecord[] {
  const records: GroupRecord[] = []
  for (const [at, holder, { producerEpoch: _, isMembers = false, ...value }] of pending.entries()) {
    if (holder !== producerId) continue
    if (outcome === 'abort') records.push(nothingPending(groupId, at, producerId))
    else records.push(offsetRecord(at, value, isMembers), ...overtaken(groupId, pending, at, producerId))
  }
  return records
}

/** What a commit for a partition makes void: all that was handed in for it, or, with a producer, what came before its own. */
export function overtaken(
  groupId: string,
  pending: PendingOffsets,
  at: TopicPartition,
  producerId?: number,
): GroupRecord[] {
  const producers = pending.producersAt(at)
  const count = producerId === undefined ? producers.length : producers.indexOf(producerId) + 1
  return producers.slice(0, count).map((each) => nothingPending(groupId, at, each))
}
