/** What a look at all groups finds to be over: offsets past their time or of topics that are gone, groups without rest. */
import type { TopicCatalog } from './consumer/topics.ts'
import type { GroupRecord } from './group-records.ts'
import { type Group, type GroupMachine, noOffset, noShare } from './held-group.ts'
import type { GroupView } from './offsets.ts'

/** The records that take it away. */
export function expiredRecords(
  groups: Iterable<Group>,
  topics: TopicCatalog,
  retentionMs: number,
  nowMs: number,
): GroupRecord[] {
  const records: GroupRecord[] = []
  for (const { machine, offsets, pending, shares } of groups) {
    const { groupId } = machine
    const view = viewOf(machine, topics)
    const expired = offsets
      .expired(view, retentionMs, nowMs, (topicId) => topics.topicById(topicId) !== undefined)
      // An open transaction is about to commit for it.
      .filter((at) => !pending.has(at))
    for (const [at] of shares.entries()) if (!topics.topicById(at.topicId)) records.push(noShare(groupId, at))
    const hasRest =
      offsets.count > expired.length ||
      !pending.isEmpty ||
      !shares.isEmpty ||
      !machine.isEmpty ||
      machine.nextDeadline !== undefined
    if (hasRest) for (const at of expired) records.push(noOffset(groupId, at))
    else records.push({ kind: 'group', groupId, value: null })
  }
  return records
}

function viewOf(group: GroupMachine, topics: TopicCatalog): GroupView {
  const { isEmpty, phaseSinceMs } = group
  // Between two generations of a classic group it is open what its members will read.
  const names = group.type !== 'classic' || group.phase === 'Stable' ? group.subscribedTopics() : null
  const ids = names && [...names].map((name) => topics.topicByName(name)?.id).filter((id) => id !== undefined)
  return { isEmpty, phaseSinceMs, everHadMembers: group.protocolType !== null, readTopicIds: ids && new Set(ids) }
}
