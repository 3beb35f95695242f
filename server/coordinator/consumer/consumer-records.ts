/**
 * A consumer group as records of the coordinator's log: what changes together is one record.
 *
 *     ["consumer-group", GROUP]             its epochs; from here on the group is of this type
 *     ["consumer-member", GROUP, MEMBER]    what the member says of itself; null: the member and all about it is gone
 *     ["consumer-target", GROUP, MEMBER]    what it shall read
 *     ["consumer-current", GROUP, MEMBER]   what it may read, and must let go of
 */
import { base64, bytesOf } from '../base64.ts'
import type { KeyedRecord } from '../keyed-log.ts'
import type { Changes, ConsumerState } from './consumer-state.ts'
import type { Profile, Standing } from './member.ts'
import { type Partitions, partitionsOf } from './partitions.ts'

export interface GroupEpochs {
  epoch: number
  assignmentEpoch: number
  sinceMs: number
}

export type ConsumerRecord = { groupId: string } & (
  | { kind: 'consumer-group'; value: GroupEpochs }
  | { kind: 'consumer-member'; memberId: string; value: Profile | null }
  | { kind: 'consumer-target'; memberId: string; value: Partitions }
  | { kind: 'consumer-current'; memberId: string; value: Standing }
)

/** Bytes as base64. */
interface StoredProfile extends Omit<Profile, 'classic'> {
  classic?: { sessionTimeoutMs: number; protocols: Array<[name: string, metadata: string]> }
}

type StoredPartitions = Array<[topicId: string, partitions: readonly number[]]>

interface StoredStanding {
  epoch: number
  previousEpoch: number
  assigned: StoredPartitions
  revoking: StoredPartitions
}

export function encodeConsumerRecord(record: ConsumerRecord): KeyedRecord {
  const { kind, groupId } = record
  if (kind === 'consumer-group') return { key: JSON.stringify([kind, groupId]), value: JSON.stringify(record.value) }
  return { key: JSON.stringify([kind, groupId, record.memberId]), value: storedValue(record) }
}

function storedValue(record: Exclude<ConsumerRecord, { kind: 'consumer-group' }>): string | null {
  if (record.kind === 'consumer-member') return record.value && JSON.stringify(storedProfile(record.value))
  if (record.kind === 'consumer-target') return JSON.stringify(stored(record.value))
  const { epoch, previousEpoch, assigned, revoking } = record.value
  return JSON.stringify({ epoch, previousEpoch, assigned: stored(assigned), revoking: stored(revoking) })
}

/** undefined when it is a record of another kind. */
export function decodeConsumerRecord(
  kind: string,
  groupId: string,
  memberId: string,
  value: unknown,
): ConsumerRecord | undefined {
  if (kind === 'consumer-group') return { kind, groupId, value: value as GroupEpochs }
  if (kind === 'consumer-member')
    return { kind, groupId, memberId, value: value === null ? null : profileIn(value as StoredProfile) }
  if (kind === 'consumer-target') return { kind, groupId, memberId, value: partitionsIn(value as StoredPartitions) }
  if (kind !== 'consumer-current') return undefined
  const { epoch, previousEpoch, assigned, revoking } = value as StoredStanding
  const standing = { epoch, previousEpoch, assigned: partitionsIn(assigned), revoking: partitionsIn(revoking) }
  return { kind, groupId, memberId, value: standing }
}

function storedProfile({ classic, ...profile }: Profile): StoredProfile {
  if (!classic) return profile
  const { sessionTimeoutMs, protocols } = classic
  const stored = protocols.map(({ name, metadata }): [string, string] => [name, base64(metadata)])
  return { ...profile, classic: { sessionTimeoutMs, protocols: stored } }
}

function profileIn({ classic, ...profile }: StoredProfile): Profile {
  if (!classic) return { ...profile, classic: null }
  const { sessionTimeoutMs, protocols } = classic
  const restored = protocols.map(([name, metadata]) => ({ name, metadata: bytesOf(metadata) }))
  return { ...profile, classic: { sessionTimeoutMs, protocols: restored } }
}

const stored = (partitions: Partitions): StoredPartitions => [...partitions]
const partitionsIn = (lists: StoredPartitions): Partitions =>
  partitionsOf(lists.map(([topicId, partitions]) => ({ topicId, partitions })))

/** What a command has changed, in the order in which it is read again. */
export function changedRecords(group: ConsumerState, changes: Changes): ConsumerRecord[] {
  const { groupId } = group
  const records: ConsumerRecord[] = []
  if (changes.hasGroup) records.push(groupRecord(group))
  for (const memberId of changes.removed) records.push({ kind: 'consumer-member', groupId, memberId, value: null })
  for (const memberId of changes.profiles) {
    records.push({ kind: 'consumer-member', groupId, memberId, value: group.members.get(memberId)!.profile })
  }
  for (const memberId of changes.targets) {
    records.push({ kind: 'consumer-target', groupId, memberId, value: group.members.get(memberId)!.target })
  }
  for (const memberId of changes.standings) {
    records.push({ kind: 'consumer-current', groupId, memberId, value: group.members.get(memberId)!.standing })
  }
  return records
}

/** The records from which the group could be built again. */
export function allRecords(group: ConsumerState): ConsumerRecord[] {
  const { groupId } = group
  const ofMembers = [...group.members.values()].flatMap(({ memberId, profile, target, standing }): ConsumerRecord[] => [
    { kind: 'consumer-member', groupId, memberId, value: profile },
    { kind: 'consumer-target', groupId, memberId, value: target },
    { kind: 'consumer-current', groupId, memberId, value: standing },
  ])
  return [groupRecord(group), ...ofMembers]
}

function groupRecord({ groupId, epoch, assignmentEpoch, sinceMs }: ConsumerState): ConsumerRecord {
  return { kind: 'consumer-group', groupId, value: { epoch, assignmentEpoch, sinceMs } }
}
