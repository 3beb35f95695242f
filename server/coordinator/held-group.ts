/** One group as the coordinator holds it: who is in it, and what is committed for it. */
import type { Timer } from '../../protocol/lib/clock.ts'
import type { ClassicGroup } from './classic-group.ts'
import type { ConsumerGroup } from './consumer/consumer-group.ts'
import { FailedRecords } from './failed-records.ts'
import { encodeRecord, type GroupRecord } from './group-records.ts'
import type { KeyedRecord } from './keyed-log.ts'
import { GroupOffsets, type TopicPartition } from './offsets.ts'
import { type PendingBytes, PendingOffsets } from './pending-offsets.ts'
import type { ShareGroup } from './share/share-group.ts'
import { type ShareCount, SharePartitions } from './share/share-partitions.ts'
import type { StreamsGroup } from './streams/streams-group.ts'

/**
 * Members by the classic protocol, by the next one (KIP-848), or of Kafka Streams (KIP-1071): a group without members can
 * become one of another. Or
 * members that share partitions (KIP-932), in a group that stays so.
 */
export type GroupMachine = ClassicGroup | ConsumerGroup | StreamsGroup | ShareGroup

/** The newest that was given out: whoever takes a group over goes on from there, so that a generation means one thing for good. */
export function generationOf(machine: GroupMachine | undefined): number {
  if (!machine) return 0
  return machine.type === 'classic' ? machine.generationId : machine.epoch
}

/** For those who only look. */
export interface Group {
  readonly machine: GroupMachine
  readonly offsets: GroupOffsets
  /** In transactions that are not decided. */
  readonly pending: PendingOffsets
  /** What members did not finish of what is committed past. */
  readonly failed: FailedRecords
  /** What became of records in a share group. */
  readonly shares: SharePartitions
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

/** What groups take together. */
export interface Totals {
  readonly pendingBytes: PendingBytes
  readonly shareCount: ShareCount
}

export const newTotals = (): Totals => ({ pendingBytes: { used: 0 }, shareCount: { partitions: 0 } })

export function holdGroup(machine: GroupMachine, { pendingBytes, shareCount }: Totals): HeldGroup {
  return {
    ...{ machine, offsets: new GroupOffsets(), pending: new PendingOffsets(pendingBytes), failed: new FailedRecords() },
    shares: new SharePartitions(shareCount),
    ...{ kept: undefined, timer: undefined, timerAt: 0, memberBytes: 0 },
  }
}

/** A group in name only: somebody has asked for an id and not come back yet. */
export function isNothing({ machine, offsets, pending, shares }: Group): boolean {
  return offsets.isEmpty && pending.isEmpty && shares.isEmpty && machine.isEmpty && machine.wasNeverUsed
}

/** The records from which the group could be built again. */
export function liveRecords(groupId: string, held: HeldGroup): KeyedRecord[] {
  const { machine, kept, offsets, pending, failed, shares } = held
  const records = machine.type === 'classic' ? classicRecords(machine, kept) : machine.records().map(encodeRecord)
  for (const [at, value] of offsets.entries()) records.push(encodeRecord({ kind: 'offset', groupId, at, value }))
  for (const [at, producerId, value] of pending.entries())
    records.push(encodeRecord({ kind: 'pending', groupId, at, producerId, value }))
  for (const [at, range] of failed.entries()) records.push(encodeRecord({ kind: 'failed', groupId, at, range }))
  for (const [at, { partition }] of shares.entries())
    records.push(encodeRecord({ kind: 'share-state', groupId, at, value: partition.snapshot() }))
  return records
}

/** One that has taken over from a group of another protocol has no record of its own before its first generation. */
function classicRecords(machine: ClassicGroup, kept: KeyedRecord | undefined): KeyedRecord[] {
  if (kept) return [kept]
  const { groupId, generationId, phaseSinceMs: sinceMs } = machine
  if (machine.wasNeverUsed) return []
  const nobody = { generationId, sinceMs, protocolType: null, protocolName: null, leaderId: null, members: [] }
  return [encodeRecord({ kind: 'group', groupId, value: nobody })]
}

export function noOffset(groupId: string, { topicId, partition }: TopicPartition): GroupRecord {
  return { kind: 'offset', groupId, at: { topicId, partition }, value: null }
}

export function noShare(groupId: string, { topicId, partition }: TopicPartition): GroupRecord {
  return { kind: 'share-state', groupId, at: { topicId, partition }, value: null }
}

export function nothingPending(
  groupId: string,
  { topicId, partition }: TopicPartition,
  producerId: number,
): GroupRecord {
  return { kind: 'pending', groupId, at: { topicId, partition }, producerId, value: null }
}
