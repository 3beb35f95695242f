/** A group read again from its records: what is not in them follows from what is. */
import type { Instant } from '../group-state.ts'
import type { ConsumerRecord } from './consumer-records.ts'
import { type ConsumerLimits, type ConsumerState, setTargeted, wakeBy } from './consumer-state.ts'
import { newMember, sizeOfProfile } from './member.ts'
import { isSame, together } from './partitions.ts'

/** The newest record of each key holds. */
export function restore(group: ConsumerState, record: ConsumerRecord): void {
  if (record.kind === 'streams-topology') {
    group.topology = record.value
    return
  }
  if (!('memberId' in record)) return void Object.assign(group, record.value)
  const { memberId } = record
  const member = group.members.get(memberId)
  switch (record.kind) {
    case 'consumer-member':
    case 'share-member':
    case 'streams-member':
      if (!record.value) group.members.delete(memberId)
      else if (member) member.profile = record.value
      else group.members.set(memberId, newMember(memberId, record.value))
      return
    case 'consumer-target':
    case 'share-target':
    case 'streams-target':
      if (member) member.target = record.value
      return
    case 'consumer-current':
    case 'share-current':
    case 'streams-current':
      if (member) member.standing = record.value
  }
}

/** All records have been read. Members have a whole session to show up in, and to let go of what they must. */
export function resume(
  group: ConsumerState,
  { sessionTimeoutMs }: Pick<ConsumerLimits, 'sessionTimeoutMs'>,
  at: Instant,
): void {
  const targeted = new Map<string, number>()
  for (const member of group.members.values()) {
    const { memberId, profile, standing, target } = member
    if (profile.instanceId !== null) group.staticMembers.set(profile.instanceId, memberId)
    group.profileBytes += sizeOfProfile(memberId, profile)
    if (group.type !== 'share')
      group.owners.take(memberId, together(standing.assigned, standing.revoking), standing.epoch)
    for (const [topicId, list] of target) targeted.set(topicId, (targeted.get(topicId) ?? 0) + list.length)
    const isThere = standing.epoch === group.assignmentEpoch && standing.revoking.size === 0
    member.isReconciled = isThere && isSame(standing.assigned, target)
    member.sessionDeadline = at.monotonicMs + (profile.classic?.sessionTimeoutMs ?? sessionTimeoutMs)
    wakeBy(group, member.sessionDeadline)
    // A member of the classic protocol is told to join again with its next heartbeat.
    if (standing.revoking.size === 0 || profile.classic) continue
    member.revocationDeadline = at.monotonicMs + profile.rebalanceTimeoutMs
    wakeBy(group, member.revocationDeadline)
  }
  setTargeted(group, targeted)
}
