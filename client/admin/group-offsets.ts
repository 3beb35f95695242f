/** What groups have committed: looking at it, changing it, forgetting it. */
import { type AdminDriver, type AdminOptions, type AdminRun, type Answer, type Verdict, verdict } from './driver.ts'
import { inTurns } from './in-turns.ts'
import type { PerEntry } from './outcomes.ts'
import { answersByPartition, byTopic, keyOf, type TopicPartition } from './topic-partitions.ts'

export interface CommittedOffset extends TopicPartition {
  /** The next record that the group would read. */
  offset: number
  /** -1: not told. */
  leaderEpoch: number
  /** Text that was stored with it. */
  metadata: string
}

export interface GroupOffsets {
  groupId: string
  /** Partitions without a commit are left out. */
  offsets: CommittedOffset[]
}

/** A group by its name, or some of its partitions. */
export type GroupSelection = string | { group: string; partitions?: readonly TopicPartition[] }

export interface ListGroupOffsetsOptions extends AdminOptions {
  /** Wait for transactions that are about to commit offsets. */
  requireStable?: boolean
}

export interface NewOffset extends TopicPartition {
  offset: number
  leaderEpoch?: number
  metadata?: string
}

type Selected = Exclude<GroupSelection, string>

const selected = (selection: GroupSelection): Selected =>
  typeof selection === 'string' ? { group: selection } : selection

/** Of a group that nobody knows: no offsets. Rejects NOT_AUTHORIZED, RELAY. */
export function listConsumerGroupOffsets(
  driver: AdminDriver,
  groups: readonly GroupSelection[],
  options: ListGroupOffsetsOptions = {},
): PerEntry<GroupSelection, GroupOffsets> {
  return committedOffsets(driver.run(options), groups, options.requireStable ?? false)
}

/** As part of another call, within its time. */
export function committedOffsets(
  run: AdminRun,
  groups: readonly GroupSelection[],
  requireStable: boolean,
): PerEntry<GroupSelection, GroupOffsets> {
  return run.each<GroupSelection, GroupOffsets>({
    entries: groups,
    where: (selection) => ({ group: selected(selection).group }),
    doing: (selection) => `listing the offsets of group ${selected(selection).group}`,
    // One group each: before version 8 a request had no place for more.
    ask: (entries, ask) =>
      inTurns(entries.map(selected), async ({ group, partitions }) => {
        const topics = partitions ? [...byTopic(partitions)].map(asTopic) : null
        const answer = await ask('OffsetFetch', {
          ...{ groupId: group, topics, requireStable },
          groups: [{ groupId: group, memberId: null, topics }],
        })
        return offsetsIn(group, answer.groups[0] ?? answer)
      }),
  })
}

type FetchedGroup = Pick<Answer<'OffsetFetch'>, 'errorCode' | 'topics'>

function offsetsIn(groupId: string, { errorCode, topics }: FetchedGroup): Verdict<GroupOffsets> {
  const all = topics.flatMap(({ name, partitions }) => partitions.map((partition) => ({ topic: name, ...partition })))
  const refused = errorCode || all.find((each) => each.errorCode !== 0)?.errorCode
  if (refused) return { errorCode: refused }
  const committed = all.filter(({ committedOffset }) => committedOffset >= 0)
  return {
    value: {
      groupId,
      offsets: committed.map(({ topic, partitionIndex, committedOffset, committedLeaderEpoch, metadata }) => ({
        ...{ topic, partition: partitionIndex, offset: committedOffset },
        ...{ leaderEpoch: committedLeaderEpoch, metadata: metadata ?? '' },
      })),
    },
  }
}

const asTopic = ([name, group]: [string, TopicPartition[]]) => ({
  name,
  partitionIndexes: group.map(({ partition }) => partition),
})

/**
 * Sets where a group goes on, as its own members would by committing. Only while it has none; later commits of members
 * that come back win. Rejects GROUP_NOT_EMPTY.
 */
export function alterConsumerGroupOffsets(
  driver: AdminDriver,
  group: string,
  offsets: readonly NewOffset[],
  options: AdminOptions = {},
): PerEntry<NewOffset, NewOffset> {
  return commitOffsets(driver.run(options), group, offsets)
}

/** As part of another call, within its time. */
export function commitOffsets(
  run: AdminRun,
  group: string,
  offsets: readonly NewOffset[],
): PerEntry<NewOffset, NewOffset> {
  return run.each<NewOffset, NewOffset>({
    entries: offsets,
    where: () => ({ group }),
    doing: ({ topic, partition }) => `setting the offset of group ${group} in ${topic}-${partition}`,
    // No isChange: the same offset twice is the same offset.
    async ask(entries, ask) {
      const topics = [...byTopic(entries)].map(([name, each]) => ({
        name,
        partitions: each.map(({ partition, offset, leaderEpoch = -1, metadata = '' }) => ({
          ...{ partitionIndex: partition, committedOffset: offset },
          ...{ committedLeaderEpoch: leaderEpoch, committedMetadata: metadata },
        })),
      }))
      const answer = await ask('OffsetCommit', { groupId: group, memberId: '', groupInstanceId: null, topics })
      const found = answersByPartition(answer.topics, ({ partitionIndex }) => partitionIndex)
      return entries.map((entry) => {
        const answered = found.get(keyOf(entry))
        // To whoever is no member a group with members says that it does not know them.
        return answered?.errorCode === UNKNOWN_MEMBER_ID
          ? { errorCode: NON_EMPTY_GROUP }
          : verdict(answered, () => entry)
      })
    },
  })
}

const UNKNOWN_MEMBER_ID = 25
const NON_EMPTY_GROUP = 68

/** Forgets commits. Refused for topics to which a member is subscribed. */
export function deleteConsumerGroupOffsets(
  driver: AdminDriver,
  group: string,
  partitions: readonly TopicPartition[],
  options: AdminOptions = {},
): PerEntry<TopicPartition, TopicPartition> {
  return driver.run(options).each<TopicPartition, TopicPartition>({
    entries: partitions,
    where: () => ({ group }),
    doing: ({ topic, partition }) => `deleting the offset of group ${group} in ${topic}-${partition}`,
    isChange: true,
    async ask(entries, ask) {
      const topics = [...byTopic(entries)].map(([name, each]) => ({
        name,
        partitions: each.map(({ partition }) => ({ partitionIndex: partition })),
      }))
      const { errorCode, topics: answered } = await ask('OffsetDelete', { groupId: group, topics })
      const found = answersByPartition(answered, ({ partitionIndex }) => partitionIndex)
      return entries.map((entry) => (errorCode === 0 ? verdict(found.get(keyOf(entry)), () => entry) : { errorCode }))
    },
  })
}
