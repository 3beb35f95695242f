/** What a look at all groups finds to be over: offsets past their time or of topics that are gone, groups without rest. */
import type { ClassicGroup } from './classic-group.ts'
import type { GroupRecord } from './group-records.ts'
import { type Group, noOffset } from './held-group.ts'
import type { GroupView } from './offsets.ts'

/** What the coordinator asks of whoever knows the topics. */
export interface TopicIds {
  topicByName(name: string): { id: string } | undefined
  topicById(id: string): unknown
}

/** The records that take it away. */
export function expiredRecords(
  groups: Iterable<Group>,
  topics: TopicIds,
  retentionMs: number,
  nowMs: number,
): GroupRecord[] {
  const records: GroupRecord[] = []
  for (const { classic, offsets, pending } of groups) {
    const { groupId } = classic
    const view = viewOf(classic, topics)
    const expired = offsets
      .expired(view, retentionMs, nowMs, (topicId) => topics.topicById(topicId) !== undefined)
      // An open transaction is about to commit for it.
      .filter((at) => !pending.has(at))
    const hasRest =
      offsets.count > expired.length ||
      !pending.isEmpty ||
      classic.phase !== 'Empty' ||
      classic.nextDeadline !== undefined
    if (hasRest) for (const at of expired) records.push(noOffset(groupId, at))
    else records.push({ kind: 'group', groupId, value: null })
  }
  return records
}

function viewOf(group: ClassicGroup, topics: TopicIds): GroupView {
  const { phase, phaseSinceMs, protocolType } = group
  const names = group.subscribedTopics()
  const ids = names && [...names].map((name) => topics.topicByName(name)?.id).filter((id) => id !== undefined)
  return { phase, phaseSinceMs, protocolType, readTopicIds: ids && new Set(ids) }
}
