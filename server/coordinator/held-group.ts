/** One group as the coordinator holds it: who is in it, and what is committed for it. */
import type { Timer } from '../../protocol/lib/clock.ts'
import type { ClassicGroup } from './classic-group.ts'
import type { ConsumerGroup } from './consumer/consumer-group.ts'
import { FailedRecords } from './failed-records.ts'
import { encodeRecord, type GroupRecord } from './group-records.ts'
import type { KeyedRecord } from './keyed-log.ts'
import { GroupOffsets, type TopicPartition } from './offsets.ts'
import { type PendingBytes, PendingOffsets } from './pending-offsets.ts'

/** Members by the classic protocol, or by the next one (KIP-848). A group without members can become one of the other. */
export type GroupMachine = ClassicGroup | ConsumerGroup

/** For those who only look. */
export interface Group {
  readonly machine: GroupMachine
  readonly offsets: GroupOffsets
  /** In transactions that are not decided. */
  readonly pending: PendingOffsets
  /** What members did not finish of what is committed past. */
  readonly failed: FailedRecords
}

export interface HeldGroup extends Group {
  machine: GroupMachine
  /** A classic group's newest record: what it was when it last had assignments, or nobody. */
  kept: KeyedRecord | undefined
  timer: Timer | undefined
  timerAt: number
  /** As counted by the coordinator. */
  memberBytes: number
}

export function holdGroup(machine: GroupMachine, pendingBytes: PendingBytes): HeldGroup {
  return {
    ...{ machine, offsets: new GroupOffsets(), pending: new PendingOffsets(pendingBytes), failed: new FailedRecords() },
    ...{ kept: undefined, timer: undefined, timerAt: 0, memberBytes: 0 },
  }
}

/** A group in name only: somebody has asked for an id and not come back yet. */
export function isNothing({ machine, offsets, pending }: Group): boolean {
  return offsets.isEmpty && pending.isEmpty && machine.isEmpty && machine.wasNeverUsed
}

/** The records from which the group could be built again. */
export function liveRecords(groupId: string, { machine, kept, offsets, pending, failed }: HeldGroup): KeyedRecord[] {
  const records = machine.type === 'consumer' ? machine.records().map(encodeRecord) : kept ? [kept] : []
  for (const [at, value] of offsets.entries()) records.push(encodeRecord({ kind: 'offset', groupId, at, value }))
  for (const [at, producerId, value] of pending.entries())
    records.push(encodeRecord({ kind: 'pending', groupId, at, producerId, value }))
  for (const [at, range] of failed.entries()) records.push(encodeRecord({ kind: 'failed', groupId, at, range }))
  return records
}

export function noOffset(groupId: string, { topicId, partition }: TopicPartition): GroupRecord {
  return { kind: 'offset', groupId, at: { topicId, partition }, value: null }
}

export function nothingPending(
  groupId: string,
  { topicId, partition }: TopicPartition,
  producerId: number,
): GroupRecord {
  return { kind: 'pending', groupId, at: { topicId, partition }, producerId, value: null }
}
