/** Share groups (KIP-932): who is in them, where they stand in their partitions, setting that anew, removing them. */
import { type AdminDriver, type AdminOptions, type AdminRun, type Answer, type Verdict, verdict } from './driver.ts'
import type { GroupLag } from './group-lag.ts'
import type { NewOffset } from './group-offsets.ts'
import {
  type DescribeGroupsOptions,
  deleteConsumerGroups,
  type GroupDescription,
  type GroupListing,
  hostOf,
  type ListGroupsOptions,
  listGroups,
  partitionsOf,
} from './groups.ts'
import { listEnds } from './log-ends.ts'
import { type PerEntry, perEntry } from './outcomes.ts'
import { byTopic, keyOf, type TopicPartition } from './topic-partitions.ts'

export interface ShareOffset extends TopicPartition {
  /** Everything below is settled: accepted, rejected or given up. */
  startOffset: number
  /** Records that are not settled; null where the broker does not tell. */
  lag: number | null
}

export interface ShareGroupOffsets {
  groupId: string
  /** Partitions that the group has not begun to read are left out. */
  offsets: ShareOffset[]
}

export function listShareGroups(
  driver: AdminDriver,
  options: Omit<ListGroupsOptions, 'types'> = {},
): PerEntry<string, GroupListing> {
  // Brokers from before share groups list all groups, whatever is asked.
  const listed = listGroups(driver, { ...options, types: ['share'] }).then((all) =>
    all.filter(({ type }) => type === 'share').map((value) => ({ entry: value.groupId, value })),
  )
  return perEntry(listed)
}

/** Rejects UNKNOWN_GROUP, NOT_AUTHORIZED, RELAY. Members may have the same partitions, so lag is told of none. */
export function describeShareGroups(
  driver: AdminDriver,
  groupIds: readonly string[],
  options: DescribeGroupsOptions = {},
): PerEntry<string, GroupDescription> {
  const run = driver.run(options)
  const described = run.each<string, GroupDescription>({
    entries: groupIds,
    where: (group) => ({ group }),
    doing: (group) => `describing share group ${group}`,
    async ask(entries, ask) {
      const { groups } = await ask('ShareGroupDescribe', { groupIds: entries, includeAuthorizedOperations: false })
      const byId = new Map(groups.map((group) => [group.groupId, group]))
      return entries.map((groupId) => verdict(byId.get(groupId), description))
    },
  })
  return options.lag ? withLag(run, described) : described
}

function description(group: Answer<'ShareGroupDescribe'>['groups'][number]): GroupDescription {
  return {
    groupId: group.groupId,
    type: 'share',
    state: group.groupState,
    protocolType: 'share',
    assignor: group.assignorName,
    groupEpoch: group.groupEpoch,
    members: group.members.map(({ memberId, clientId, clientHost, memberEpoch, assignment, subscribedTopicNames }) => ({
      ...{ memberId, instanceId: null, clientId, host: hostOf(clientHost), memberEpoch },
      assignment: partitionsOf(assignment.topicPartitions),
      subscribed: subscribedTopicNames,
    })),
  }
}

function withLag(run: AdminRun, described: PerEntry<string, GroupDescription>): PerEntry<string, GroupDescription> {
  const outcomes = described.settled().then(async (found) => {
    const groupIds = found.flatMap(({ value }) => (value ? [value.groupId] : []))
    const offsets = await shareOffsets(run, groupIds).settled()
    const byGroup = new Map(offsets.map((outcome) => [outcome.entry, outcome]))
    const places = offsets.flatMap(({ value }) => value?.offsets ?? [])
    const ends = await listEnds(run, 'latest', [...new Map(places.map((at) => [keyOf(at), at])).values()])
    return found.map((outcome) => {
      const { entry, value } = outcome
      if (!value) return outcome
      const { value: stands, error } = byGroup.get(value.groupId)!
      if (error) return { entry, error }
      const lag = stands.offsets.map(
        ({ topic, partition, startOffset, lag: left }): GroupLag => ({
          ...{ topic, partition, committed: startOffset, lag: left, memberId: null },
          end: ends.get(keyOf({ topic, partition })) ?? null,
        }),
      )
      return { entry, value: { ...value, lag } }
    })
  })
  return perEntry(outcomes)
}

/** Rejects UNKNOWN_GROUP, NOT_AUTHORIZED, RELAY. */
export function listShareGroupOffsets(
  driver: AdminDriver,
  groupIds: readonly string[],
  options: AdminOptions = {},
): PerEntry<string, ShareGroupOffsets> {
  return shareOffsets(driver.run(options), groupIds)
}

/** As part of another call, within its time. */
export function shareOffsets(run: AdminRun, groupIds: readonly string[]): PerEntry<string, ShareGroupOffsets> {
  return run.each<string, ShareGroupOffsets>({
    entries: groupIds,
    where: (group) => ({ group }),
    doing: (group) => `listing the offsets of share group ${group}`,
    async ask(entries, ask) {
      const asked = entries.map((groupId) => ({ groupId, topics: null }))
      const { groups } = await ask('DescribeShareGroupOffsets', { groups: asked })
      const byId = new Map(groups.map((group) => [group.groupId, group]))
      return entries.map((groupId) => verdict(byId.get(groupId), standing))
    },
  })
}

function standing({ groupId, topics }: Answer<'DescribeShareGroupOffsets'>['groups'][number]): ShareGroupOffsets {
  const offsets = topics.flatMap(({ topicName: topic, partitions }) =>
    partitions
      .filter(({ startOffset }) => startOffset >= 0)
      .map(({ partitionIndex: partition, startOffset, lag }) => ({
        ...{ topic, partition, startOffset, lag: lag < 0 ? null : lag },
      })),
  )
  return { groupId, offsets }
}

/**
 * Sets where a group goes on; what became of its records there is forgotten. Only while it has no members: rejects
 * GROUP_NOT_EMPTY.
 */
export function alterShareGroupOffsets(
  driver: AdminDriver,
  group: string,
  offsets: readonly NewOffset[],
  options: AdminOptions = {},
): PerEntry<NewOffset, NewOffset> {
  return setShareOffsets(driver.run(options), group, offsets)
}

/** As part of another call, within its time. */
export function setShareOffsets(
  run: AdminRun,
  group: string,
  offsets: readonly NewOffset[],
): PerEntry<NewOffset, NewOffset> {
  return run.each<NewOffset, NewOffset>({
    entries: offsets,
    where: () => ({ group }),
    doing: ({ topic, partition }) => `setting the offset of share group ${group} in ${topic}-${partition}`,
    isChange: true,
    async ask(entries, ask): Promise<Array<Verdict<NewOffset>>> {
      const topics = [...byTopic(entries)].map(([topicName, each]) => ({
        topicName,
        partitions: each.map(({ partition, offset }) => ({ partitionIndex: partition, startOffset: offset })),
      }))
      const answer = await ask('AlterShareGroupOffsets', { groupId: group, topics })
      const { errorCode, errorMessage } = answer
      if (errorCode !== 0) return entries.map(() => ({ errorCode, errorMessage }))
      const found = new Map(
        answer.responses.flatMap(({ topicName: topic, partitions }) =>
          partitions.map((each) => [keyOf({ topic, partition: each.partitionIndex }), each] as const),
        ),
      )
      return entries.map((entry) => verdict(found.get(keyOf(entry)), () => entry))
    },
  })
}

/** By topic: the group begins there anew. Rejects GROUP_NOT_EMPTY. */
export function deleteShareGroupOffsets(
  driver: AdminDriver,
  group: string,
  topics: readonly string[],
  options: AdminOptions = {},
): PerEntry<string, string> {
  return driver.run(options).each<string, string>({
    entries: topics,
    where: () => ({ group }),
    doing: (topic) => `deleting the offsets of share group ${group} in ${topic}`,
    isChange: true,
    async ask(entries, ask): Promise<Array<Verdict<string>>> {
      const asked = entries.map((topicName) => ({ topicName }))
      const { errorCode, errorMessage, responses } = await ask('DeleteShareGroupOffsets', {
        groupId: group,
        topics: asked,
      })
      if (errorCode !== 0) return entries.map(() => ({ errorCode, errorMessage }))
      const byName = new Map(responses.map((each) => [each.topicName, each]))
      return entries.map((topic) => verdict(byName.get(topic), () => topic))
    },
  })
}

/** With all that is known of their records. Rejects GROUP_NOT_EMPTY while one has members, UNKNOWN_GROUP. */
export const deleteShareGroups = deleteConsumerGroups
