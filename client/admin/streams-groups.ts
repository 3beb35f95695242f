/**
 * Groups of Kafka Streams (KIP-1071): what the application does, and who runs which of its tasks. Their offsets and their end
 * are those of any group.
 */
import { type AdminDriver, type AdminOptions, type Answer, verdict } from './driver.ts'
import { type GroupListing, type GroupMember, hostOf } from './groups.ts'
import type { PerEntry } from './outcomes.ts'

/** One partition of one part of the topology. */
export interface StreamsTask {
  subtopology: string
  partition: number
}

export interface StreamsTasks {
  active: StreamsTask[]
  /** Copies of states that are kept up to date; none at a relay. */
  standby: StreamsTask[]
  /** Copies that catch up, to become active. */
  warmup: StreamsTask[]
}

export interface StreamsGroupMember
  extends Pick<GroupMember, 'memberId' | 'instanceId' | 'clientId' | 'host' | 'memberEpoch'> {
  /** Members of one process share what it has. */
  processId: string
  topologyEpoch: number
  /** What it runs. */
  tasks: StreamsTasks
  /** What it is to run once the others have let go. */
  target: StreamsTasks
}

export interface Subtopology {
  id: string
  /** What it reads. */
  sources: readonly string[]
  repartitionSources: readonly string[]
  repartitionSinks: readonly string[]
  /** Where its states are kept. */
  changelogs: readonly string[]
}

export interface StreamsGroupDescription extends GroupListing {
  groupEpoch: number
  topologyEpoch: number
  subtopologies: Subtopology[]
  members: StreamsGroupMember[]
}

/** Rejects UNKNOWN_GROUP, NOT_AUTHORIZED, RELAY. */
export function describeStreamsGroups(
  driver: AdminDriver,
  groupIds: readonly string[],
  options: AdminOptions = {},
): PerEntry<string, StreamsGroupDescription> {
  return driver.run(options).each<string, StreamsGroupDescription>({
    entries: groupIds,
    where: (group) => ({ group }),
    doing: (group) => `describing streams group ${group}`,
    async ask(entries, ask) {
      const { groups } = await ask('StreamsGroupDescribe', { groupIds: entries, includeAuthorizedOperations: false })
      const byId = new Map(groups.map((group) => [group.groupId, group]))
      return entries.map((groupId) => verdict(byId.get(groupId), description))
    },
  })
}

type Described = Answer<'StreamsGroupDescribe'>['groups'][number]
type SaidTasks = Described['members'][number]['assignment']

function description(group: Described): StreamsGroupDescription {
  return {
    groupId: group.groupId,
    type: 'streams',
    state: group.groupState,
    protocolType: 'streams',
    groupEpoch: group.groupEpoch,
    topologyEpoch: group.topology?.epoch ?? 0,
    subtopologies: (group.topology?.subtopologies ?? []).map((part) => ({
      id: part.subtopologyId,
      sources: part.sourceTopics,
      repartitionSources: part.repartitionSourceTopics.map(({ name }) => name),
      repartitionSinks: part.repartitionSinkTopics,
      changelogs: part.stateChangelogTopics.map(({ name }) => name),
    })),
    members: group.members.map(({ memberId, instanceId, clientId, clientHost, memberEpoch, ...member }) => ({
      ...{ memberId, instanceId, clientId, host: hostOf(clientHost), memberEpoch },
      processId: member.processId,
      topologyEpoch: member.topologyEpoch,
      tasks: tasksIn(member.assignment),
      target: tasksIn(member.targetAssignment),
    })),
  }
}

const tasksIn = ({ activeTasks, standbyTasks, warmupTasks }: SaidTasks): StreamsTasks => ({
  active: listed(activeTasks),
  standby: listed(standbyTasks),
  warmup: listed(warmupTasks),
})

const listed = (tasks: SaidTasks['activeTasks']): StreamsTask[] =>
  tasks.flatMap(({ subtopologyId: subtopology, partitions }) =>
    partitions.map((partition) => ({ subtopology, partition })),
  )
