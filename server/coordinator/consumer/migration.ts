/**
 * Online migration: a group with members goes from one protocol to the other when the first member of the new one comes,
 * or the last one goes. Members keep what they read.
 */
import { KafkaError } from '../../../protocol/errors.ts'
import type { ClassicGroup, GroupSnapshot } from '../classic-group.ts'
import { assignedPartitions, subscriptionIn, versionOf } from '../consumer-protocol.ts'
import { type Member, metadataFor } from '../group-member.ts'
import type { Instant } from '../group-state.ts'
import { byTopicId, CLASSIC_TYPE, encodeForMember } from './classic-members.ts'
import type { ConsumerRecord } from './consumer-records.ts'
import type { ConsumerState } from './consumer-state.ts'
import type { Profile } from './member.ts'
import { NO_PARTITIONS, onlyThose, type Partitions } from './partitions.ts'
import type { TopicCatalog } from './topics.ts'

/** The newest generation of a classic group as a consumer group. Throws KafkaError when it cannot be one. */
export function upgraded(group: ClassicGroup, topics: TopicCatalog): ConsumerRecord[] {
  const { groupId, generationId: epoch, phaseSinceMs: sinceMs } = group
  const refuse = (reason: string) => new KafkaError('GROUP_ID_NOT_FOUND', `${groupId} is a classic group ${reason}`)
  if (group.protocolType !== CLASSIC_TYPE) throw refuse('of members that are no consumers')
  const taken = new Set<string>()
  const records: ConsumerRecord[] = [
    { kind: 'consumer-group', groupId, value: { epoch, assignmentEpoch: epoch, sinceMs } },
  ]
  for (const member of group.members) {
    const { memberId } = member
    const metadata = metadataFor(member, group.protocolName)
    const subscription = subscriptionIn(metadata.length > 0 ? metadata : (member.protocols[0]?.metadata ?? metadata))
    const lists = assignedPartitions(member.assignment)
    if (!subscription || !lists) throw refuse('whose members do not say what they read')
    const assigned = eachOnce(byTopicId(lists, topics), taken)
    records.push(
      { kind: 'consumer-member', groupId, memberId, value: profileOf(member, subscription) },
      { kind: 'consumer-target', groupId, memberId, value: assigned },
      {
        ...{ kind: 'consumer-current', groupId, memberId },
        value: { epoch, previousEpoch: epoch, assigned, revoking: NO_PARTITIONS },
      },
    )
  }
  return records
}

/** Nobody has checked what the group's leader handed in. */
function eachOnce(partitions: Partitions, taken: Set<string>): Partitions {
  return onlyThose(partitions, (topicId, partition) => {
    const at = `${topicId}/${partition}`
    const isFree = !taken.has(at)
    taken.add(at)
    return isFree
  })
}

function profileOf(member: Readonly<Member>, said: { topics: readonly string[]; rackId: string | null }): Profile {
  const { groupInstanceId: instanceId, clientId, clientHost, rebalanceTimeoutMs, sessionTimeoutMs, protocols } = member
  return {
    ...{ instanceId, clientId, clientHost, rebalanceTimeoutMs },
    rackId: said.rackId,
    subscribedNames: [...new Set(said.topics)].sort(),
    subscribedRegex: null,
    serverAssignor: null,
    classic: { sessionTimeoutMs, protocols },
  }
}

export function hasOnlyClassicMembers(group: ConsumerState): boolean {
  for (const { profile } of group.members.values()) if (!profile.classic) return false
  return group.members.size > 0
}

/** A group that has only members of the classic protocol as a stable generation of theirs. */
export function downgraded(group: ConsumerState, topics: TopicCatalog, at: Instant): GroupSnapshot {
  const members = [...group.members.values()].map(({ memberId, profile, target }) => {
    const { instanceId, clientId, clientHost, rebalanceTimeoutMs, classic } = profile
    const { sessionTimeoutMs, protocols } = classic!
    return {
      ...{ memberId, clientId, clientHost, sessionTimeoutMs, rebalanceTimeoutMs, protocols },
      groupInstanceId: instanceId,
      assignment: encodeForMember(target, versionOf(protocols[0]!.metadata), topics),
    }
  })
  return {
    generationId: group.epoch,
    protocolType: CLASSIC_TYPE,
    // The first that all of them know; they agree on one when they join again.
    protocolName: commonProtocol(members.map(({ protocols }) => protocols.map(({ name }) => name))),
    leaderId: members[0]!.memberId,
    sinceMs: at.wallMs,
    members,
  }
}

function commonProtocol(names: ReadonlyArray<readonly string[]>): string | null {
  return names[0]!.find((name) => names.every((each) => each.includes(name))) ?? null
}
