/**
 * A group whose members the relay assigns to as records of the coordinator's log: what changes together is one record.
 *
 *     ["consumer-group", GROUP]             its epochs; from here on the group is of this type
 *     ["consumer-member", GROUP, MEMBER]    what the member says of itself; null: the member and all about it is gone
 *     ["consumer-target", GROUP, MEMBER]    what it shall read
 *     ["consumer-current", GROUP, MEMBER]   what it may read, and must let go of
 *
 * Those of a share group are called `share-...`, those of a streams group `streams-...`; the latter has one more:
 *
 *     ["streams-topology", GROUP]           what it runs
 */
import { base64, bytesOf } from '../base64.ts'
import type { KeyedRecord } from '../keyed-log.ts'
import type { Topology } from '../streams/topology.ts'
import type { AssignedType, Changes, ConsumerState } from './consumer-state.ts'
import type { Profile, Standing } from './member.ts'
import { type Partitions, partitionsOf } from './partitions.ts'

export interface GroupEpochs {
  epoch: number
  assignmentEpoch: number
  sinceMs: number
}

type RecordOf<Type extends AssignedType> = Type extends AssignedType
  ?
      | { kind: `${Type}-group`; value: GroupEpochs }
      | { kind: `${Type}-member`; memberId: string; value: Profile | null }
      | { kind: `${Type}-target`; memberId: string; value: Partitions }
      | { kind: `${Type}-current`; memberId: string; value: Standing }
  : never

export type ConsumerRecord = { groupId: string } & (
  | RecordOf<AssignedType>
  | { kind: 'streams-topology'; value: Topology }
)

type MemberRecord = Extract<ConsumerRecord, { memberId: string }>

export function typeOfRecord({ kind }: ConsumerRecord): AssignedType {
  if (kind.startsWith('share-')) return 'share'
  return kind.startsWith('streams-') ? 'streams' : 'consumer'
}

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
  if (!('memberId' in record))
    return { key: JSON.stringify([record.kind, record.groupId]), value: JSON.stringify(record.value) }
  const { kind, groupId, memberId } = record
  return { key: JSON.stringify([kind, groupId, memberId]), value: storedValue(record) }
}

function storedValue(record: MemberRecord): string | null {
  switch (record.kind) {
    case 'consumer-member':
    case 'share-member':
    case 'streams-member':
      return record.value && JSON.stringify(storedProfile(record.value))
    case 'consumer-target':
    case 'share-target':
    case 'streams-target':
      return JSON.stringify(stored(record.value))
    case 'consumer-current':
    case 'share-current':
    case 'streams-current': {
      const { epoch, previousEpoch, assigned, revoking } = record.value
      return JSON.stringify({ epoch, previousEpoch, assigned: stored(assigned), revoking: stored(revoking) })
    }
  }
}

/** undefined when it is a record of another kind. */
export function decodeConsumerRecord(
  kind: string,
  groupId: string,
  memberId: string,
  value: unknown,
): ConsumerRecord | undefined {
  if (kind === 'streams-topology') return { kind, groupId, value: value as Topology }
  if (kind === 'consumer-group' || kind === 'share-group' || kind === 'streams-group')
    return { kind, groupId, value: value as GroupEpochs }
  if (kind === 'consumer-member' || kind === 'share-member' || kind === 'streams-member')
    return { kind, groupId, memberId, value: value === null ? null : profileIn(value as StoredProfile) }
  if (kind === 'consumer-target' || kind === 'share-target' || kind === 'streams-target')
    return { kind, groupId, memberId, value: partitionsIn(value as StoredPartitions) }
  if (kind !== 'consumer-current' && kind !== 'share-current' && kind !== 'streams-current') return undefined
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
  const { type, groupId } = group
  const records: ConsumerRecord[] = []
  if (changes.hasGroup) records.push(groupRecord(group))
  if (changes.hasTopology) records.push(...topologyRecords(group))
  for (const memberId of changes.removed) records.push({ kind: `${type}-member`, groupId, memberId, value: null })
  for (const memberId of changes.profiles) {
    records.push({ kind: `${type}-member`, groupId, memberId, value: group.members.get(memberId)!.profile })
  }
  for (const memberId of changes.targets) {
    records.push({ kind: `${type}-target`, groupId, memberId, value: group.members.get(memberId)!.target })
  }
  for (const memberId of changes.standings) {
    records.push({ kind: `${type}-current`, groupId, memberId, value: group.members.get(memberId)!.standing })
  }
  return records
}

/** The records from which the group could be built again. */
export function allRecords(group: ConsumerState): ConsumerRecord[] {
  const { type, groupId } = group
  const ofMembers = [...group.members.values()].flatMap(({ memberId, profile, target, standing }): ConsumerRecord[] => [
    { kind: `${type}-member`, groupId, memberId, value: profile },
    { kind: `${type}-target`, groupId, memberId, value: target },
    { kind: `${type}-current`, groupId, memberId, value: standing },
  ])
  return [groupRecord(group), ...topologyRecords(group), ...ofMembers]
}

function groupRecord({ type, groupId, epoch, assignmentEpoch, sinceMs }: ConsumerState): ConsumerRecord {
  return { kind: `${type}-group`, groupId, value: { epoch, assignmentEpoch, sinceMs } }
}

function topologyRecords({ groupId, topology }: ConsumerState): ConsumerRecord[] {
  return topology ? [{ kind: 'streams-topology', groupId, value: topology }] : []
}
