/**
 * Groups and commits as records of the coordinator's log. Keys are JSON arrays, values JSON objects, bytes in them base64.
 *
 *     ["group", GROUP]                        generation and members; null: the group and all its commits are gone
 *     ["consumer-...", GROUP, ...]            the same in parts, for a group of the next protocol: consumer-records.ts
 *     ["share-...", GROUP, ...]               and for a share group
 *     ["share-state", GROUP, TOPIC ID, PARTITION]   what became of records in a share group; null: nothing is known
 *     ["share-update", GROUP, TOPIC ID, PARTITION]  what has changed of that
 *     ["config", GROUP]                       what is configured for it, whether it exists or not; null: nothing
 *     ["offset", GROUP, TOPIC ID, PARTITION]  a committed offset; null: none any more
 *     ["pending", GROUP, TOPIC ID, PARTITION, PRODUCER ID]  an offset in a transaction; null: it is decided, or void
 *     ["failed", GROUP, TOPIC ID, PARTITION, FROM]  records that a member did not finish; they go with the committed offset
 *
 * The newest record of a key holds; but each update holds that is newer than the state.
 */
import { base64, bytesOf } from './base64.ts'
import type { GroupSnapshot } from './classic-group.ts'
import { type ConsumerRecord, decodeConsumerRecord, encodeConsumerRecord } from './consumer/consumer-records.ts'
import type { FailedRange } from './failed-records.ts'
import type { KeyedRecord } from './keyed-log.ts'
import type { CommittedOffset, TopicPartition } from './offsets.ts'
import type { PendingOffset } from './pending-offsets.ts'
import type { StoredShare } from './share/share-partition.ts'

/** Kafka's names to text. */
export type GroupOverrides = Readonly<Record<string, string>>

export type GroupRecord =
  | { kind: 'group'; groupId: string; value: GroupSnapshot | null }
  | { kind: 'config'; groupId: string; value: GroupOverrides | null }
  | { kind: 'offset'; groupId: string; at: TopicPartition; value: CommittedOffset | null }
  | { kind: 'pending'; groupId: string; at: TopicPartition; producerId: number; value: PendingOffset | null }
  | { kind: 'failed'; groupId: string; at: TopicPartition; range: FailedRange }
  | { kind: 'share-state'; groupId: string; at: TopicPartition; value: StoredShare | null }
  | { kind: 'share-update'; groupId: string; at: TopicPartition; value: StoredShare }
  | ConsumerRecord

interface StoredMember {
  id: string
  instance: string | null
  client: string
  host: string
  sessionMs: number
  rebalanceMs: number
  protocols: Array<[name: string, metadata: string]>
  assignment: string
}

type StoredGroup = Omit<GroupSnapshot, 'members'> & { members: StoredMember[] }

export function encodeRecord(record: GroupRecord): KeyedRecord {
  if (record.kind === 'group') {
    const value = record.value && JSON.stringify(storedGroup(record.value))
    return { key: JSON.stringify(['group', record.groupId]), value }
  }
  if (record.kind === 'config') {
    return { key: JSON.stringify(['config', record.groupId]), value: record.value && JSON.stringify(record.value) }
  }
  if (record.kind === 'failed') {
    const { groupId, at, range } = record
    const key = JSON.stringify(['failed', groupId, at.topicId, at.partition, range.from])
    return { key, value: JSON.stringify(range) }
  }
  if (record.kind === 'share-state' || record.kind === 'share-update') {
    const { kind, groupId, at, value } = record
    return { key: JSON.stringify([kind, groupId, at.topicId, at.partition]), value: value && JSON.stringify(value) }
  }
  if (record.kind !== 'offset' && record.kind !== 'pending') return encodeConsumerRecord(record)
  const { kind, groupId, at, value } = record
  const key = [kind, groupId, at.topicId, at.partition, ...(kind === 'pending' ? [record.producerId] : [])]
  return { key: JSON.stringify(key), value: value && JSON.stringify(value) }
}

/** undefined for kinds that a later version has added. */
export function decodeRecord({ key, value }: KeyedRecord): GroupRecord | undefined {
  const [kind, groupId, id, partition, producerId] = JSON.parse(key) as [string, string, string, number, number]
  const stored: unknown = value === null ? null : JSON.parse(value)
  if (kind === 'group') return { kind, groupId, value: stored === null ? null : groupOf(stored as StoredGroup) }
  if (kind === 'config') return { kind, groupId, value: stored as GroupOverrides | null }
  const at = { topicId: id, partition }
  if (kind === 'offset')
    return { kind, groupId, at, value: stored === null ? null : offsetOf(stored as CommittedOffset) }
  if (kind === 'failed' && stored !== null) return { kind, groupId, at, range: stored as FailedRange }
  if (kind === 'pending') return { kind, groupId, at, producerId, value: stored as PendingOffset | null }
  if (kind === 'share-state') return { kind, groupId, at, value: stored as StoredShare | null }
  if (kind === 'share-update') return { kind, groupId, at, value: stored as StoredShare }
  return decodeConsumerRecord(kind, groupId, id, stored)
}

/** Commits of earlier versions do not say what lay before them. */
function offsetOf(stored: CommittedOffset): CommittedOffset {
  return { ...stored, knownFrom: stored.knownFrom ?? stored.offset }
}

function storedGroup(group: GroupSnapshot): StoredGroup {
  return {
    ...group,
    members: group.members.map((member) => ({
      id: member.memberId,
      instance: member.groupInstanceId,
      client: member.clientId,
      host: member.clientHost,
      sessionMs: member.sessionTimeoutMs,
      rebalanceMs: member.rebalanceTimeoutMs,
      protocols: member.protocols.map(({ name, metadata }) => [name, base64(metadata)]),
      assignment: base64(member.assignment),
    })),
  }
}

function groupOf(stored: StoredGroup): GroupSnapshot {
  return {
    ...stored,
    members: stored.members.map((member) => ({
      memberId: member.id,
      groupInstanceId: member.instance,
      clientId: member.client,
      clientHost: member.host,
      sessionTimeoutMs: member.sessionMs,
      rebalanceTimeoutMs: member.rebalanceMs,
      protocols: member.protocols.map(([name, metadata]) => ({ name, metadata: bytesOf(metadata) })),
      assignment: bytesOf(member.assignment),
    })),
  }
}
