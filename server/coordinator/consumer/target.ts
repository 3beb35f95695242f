/** From what members subscribe to, to who shall read what: the target assignment of an epoch. */
import type { Instant } from '../group-state.ts'
import type { Assignor, Candidate, Subscribers } from './assignors/assignor.ts'
import { range } from './assignors/range.ts'
import { simple } from './assignors/simple.ts'
import { uniform } from './assignors/uniform.ts'
import {
  type AssignmentLimits,
  bumpEpoch,
  type Changes,
  type ConsumerState,
  setTargeted,
  wakeBy,
} from './consumer-state.ts'
import type { ConsumerMember, Profile } from './member.ts'
import { isSame, NO_PARTITIONS } from './partitions.ts'
import type { TopicCatalog } from './topics.ts'

export const ASSIGNORS: ReadonlyMap<string, Assignor> = new Map([
  ['uniform', uniform],
  ['range', range],
])

/** How much there is to assign for each millisecond of rest before the next time. Small groups need no rest. */
const ITEMS_PER_REST_MS = 500

/** The topics that a member reads by name: undefined while it is not known what its regular expression matches. */
export function namesOf(group: ConsumerState, profile: Profile): readonly string[] | undefined {
  const { subscribedNames, subscribedRegex } = profile
  if (subscribedRegex === null) return subscribedNames
  const names = group.patterns.get(subscribedRegex)?.names
  return names && (subscribedNames.length === 0 ? names : [...subscribedNames, ...names])
}

/** One for each set of members that say the same. undefined as long as it is not known what one of them reads. */
function subscriptionsOf(group: ConsumerState, topics: TopicCatalog): Subscribers[] | undefined {
  const bySubscription = new Map<string, { names: readonly string[]; members: ConsumerMember[] }>()
  for (const member of group.members.values()) {
    const { subscribedRegex, subscribedNames } = member.profile
    const key = JSON.stringify([subscribedRegex, subscribedNames])
    const same = bySubscription.get(key)
    if (same) same.members.push(member)
    else {
      const names = namesOf(group, member.profile)
      if (!names) return undefined
      bySubscription.set(key, { names, members: [member] })
    }
  }
  // Different words may mean the same topics.
  const byTopics = new Map<string, { topicIds: ReadonlySet<string>; members: Candidate[] }>()
  for (const { names, members } of bySubscription.values()) {
    const ids = names.map((name) => topics.topicByName(name)?.id).filter((id) => id !== undefined)
    const topicIds = new Set(ids.sort())
    const key = [...topicIds].join()
    const found = byTopics.get(key) ?? { topicIds, members: [] }
    byTopics.set(key, found)
    for (const { memberId, profile, target } of members)
      found.members.push({ memberId, instanceId: profile.instanceId, target })
  }
  return [...byTopics.values()]
}

function countPartitions(subscriptions: readonly Subscribers[], topics: TopicCatalog): ReadonlyMap<string, number> {
  const counts = new Map<string, number>()
  for (const { topicIds } of subscriptions) {
    for (const id of topicIds) if (!counts.has(id)) counts.set(id, topics.topicById(id)!.partitions.length)
  }
  return counts
}

/** What is to be divided, among whom. */
interface Work {
  subscriptions: readonly Subscribers[]
  counts: ReadonlyMap<string, number>
}

/** undefined as long as it is not known what there is to do. */
function workOf(group: ConsumerState, topics: TopicCatalog): Work | undefined {
  if (group.type === 'streams') return tasksOf(group)
  const subscriptions = subscriptionsOf(group, topics)
  return subscriptions && { subscriptions, counts: countPartitions(subscriptions, topics) }
}

/** Tasks of the group's topology, by its parts; a member that runs an older one has none of them. */
function tasksOf({ members, configured }: ConsumerState): Work | undefined {
  if (!configured) return undefined
  const { topology, tasks } = configured
  const able = [...members.values()]
    .filter(({ profile }) => (profile.streams?.topologyEpoch ?? -1) >= topology.epoch)
    .map(({ memberId, profile, target }) => ({ memberId, instanceId: profile.instanceId, target }))
  if (able.length === 0) return { subscriptions: [], counts: new Map() }
  return { subscriptions: [{ topicIds: new Set(tasks.keys()), members: able }], counts: tasks }
}

/** Topics may have come, grown or gone since the target was made, so that there are other tasks. */
export function noticeTasks(group: ConsumerState, changes: Changes): void {
  const work = group.epoch === group.assignmentEpoch ? tasksOf(group) : undefined
  if (work && !isTargeted(group, work.counts)) bumpEpoch(group, changes)
}

const isTargeted = ({ targeted }: ConsumerState, counts: ReadonlyMap<string, number>): boolean =>
  counts.size === targeted.size && [...counts].every(([id, count]) => targeted.get(id) === count)

/** Topics may have come, grown or gone since the target was made. */
export function noticeTopics(group: ConsumerState, topics: TopicCatalog, changes: Changes): void {
  if (group.topicsVersion === topics.topicsVersion || group.epoch > group.assignmentEpoch) return
  const subscriptions = subscriptionsOf(group, topics)
  if (!subscriptions) return
  group.topicsVersion = topics.topicsVersion
  if (!isTargeted(group, countPartitions(subscriptions, topics))) bumpEpoch(group, changes)
}

/** Makes the target of the newest epoch, if that is due and it is known what everybody reads. */
export function assign(
  group: ConsumerState,
  topics: TopicCatalog,
  limits: AssignmentLimits,
  at: Instant,
  changes: Changes,
): void {
  if (group.epoch === group.assignmentEpoch) return
  if (group.members.size === 0) return assigned(group, new Map(), changes)
  if (group.assignNotBefore > at.monotonicMs) return wakeBy(group, group.assignNotBefore)
  const work = workOf(group, topics)
  if (!work) return
  const { subscriptions, counts } = work
  group.topicsVersion = topics.topicsVersion
  const assignor = group.type === 'share' ? simple : ASSIGNORS.get(assignorOf(group, limits))!
  const shares = assignor(subscriptions, counts)
  for (const member of group.members.values()) {
    const target = shares.get(member.memberId) ?? NO_PARTITIONS
    member.isReconciled = false
    if (isSame(target, member.target)) continue
    member.target = target
    changes.targets.add(member.memberId)
  }
  assigned(group, counts, changes)
  const items = group.members.size + group.targetedCount
  group.assignNotBefore = at.monotonicMs + Math.floor(items / ITEMS_PER_REST_MS)
}

function assigned(group: ConsumerState, targeted: ReadonlyMap<string, number>, changes: Changes): void {
  setTargeted(group, targeted)
  group.assignmentEpoch = group.epoch
  changes.hasGroup = true
}

/** What most of those ask for who ask for one. */
export function assignorOf(group: ConsumerState, { assignors }: AssignmentLimits): string {
  const votes = new Map<string, number>()
  for (const { profile } of group.members.values()) {
    const { serverAssignor } = profile
    if (serverAssignor !== null && assignors.includes(serverAssignor))
      votes.set(serverAssignor, (votes.get(serverAssignor) ?? 0) + 1)
  }
  let winner = assignors[0]!
  for (const [name, count] of votes) if (count > (votes.get(winner) ?? 0)) winner = name
  return winner
}
