/**
 * StreamsGroupHeartbeat 0, StreamsGroupDescribe 0: groups of Kafka Streams (KIP-1071).
 *
 * A heartbeat joins, tells what the application does, hears which tasks to run, and leaves. Topics of the application's own
 * that are missing are made in it, if the client may make them. It is answered when what it changed is on disk.
 *
 * Not done: standby and warm-up tasks, sources by regular expression (docs/GAPS.md).
 */
import type { RequestOf, ResponseInputOf } from '../../protocol/api.ts'
import { ErrorCode, KafkaError } from '../../protocol/errors.ts'
import { JOIN_EPOCH, LEAVE_EPOCH, STATIC_LEAVE_EPOCH } from '../../protocol/messages/consumer-groups.ts'
import { streamsGroupDescribe, streamsGroupHeartbeat } from '../../protocol/messages/streams-groups.ts'
import { type Partitions, partitionsOf } from '../coordinator/consumer/partitions.ts'
import type { EndpointPartitions, StreamsGroup, StreamsReply } from '../coordinator/streams/streams-group.ts'
import { type InternalTopic, inputsOf, invalid, type Topology } from '../coordinator/streams/topology.ts'
import { entry, type RequestContext } from '../handler.ts'
import { checkGroupAccess } from './group-access.ts'
import { describeGroups, hasHidden } from './group-descriptions.ts'

type HeartbeatRequest = RequestOf<typeof streamsGroupHeartbeat>
type HeartbeatResponse = ResponseInputOf<typeof streamsGroupHeartbeat>
type SaidTopology = NonNullable<HeartbeatRequest['topology']>
type SaidTasks = NonNullable<HeartbeatRequest['activeTasks']>

/** How far behind a copy of a state may be to count as caught up, and how often members tell: nobody is asked, as in Kafka. */
const RECOVERY = { acceptableRecoveryLag: 0, taskOffsetIntervalMs: 0 }

export const streamsGroupHeartbeatHandler = entry(streamsGroupHeartbeat, 'each', async (request, context) => {
  try {
    if (request.groupId.trim() === '') throw refuse('a group has a name')
    checkGroupAccess(context, 'read', request.groupId)
    checkHeartbeat(request)
    return heartbeatResponse(await carryOut(request, context))
  } catch (error) {
    if (!(error instanceof KafkaError)) throw error
    return heartbeatResponse(NOTHING, error)
  }
})

const NOTHING: StreamsReply = {
  ...{ memberId: '', memberEpoch: 0, heartbeatIntervalMs: 0, active: null },
  ...{ status: [], endpointEpoch: 0, endpoints: null },
}

async function carryOut(request: HeartbeatRequest, context: RequestContext): Promise<StreamsReply> {
  const { groupId, memberId, memberEpoch, instanceId, rackId, rebalanceTimeoutMs, processId } = request
  const { groups } = context.services
  if (memberEpoch < JOIN_EPOCH) {
    await groups.streamsLeave(groupId, { memberId, memberEpoch, instanceId })
    return { ...NOTHING, memberId, memberEpoch }
  }
  const topology = request.topology && topologyIn(request.topology)
  if (topology) checkTopics(topology, context)
  return groups.streamsHeartbeat(
    groupId,
    {
      ...{ memberId, memberEpoch, instanceId, rackId, topology, processId },
      clientId: context.clientId ?? '',
      clientHost: `/${context.connection.remoteAddress}`,
      rebalanceTimeoutMs: rebalanceTimeoutMs < 0 ? null : rebalanceTimeoutMs,
      active: request.activeTasks && tasksIn(request.activeTasks),
      userEndpoint: request.userEndpoint,
      clientTags: request.clientTags,
      endpointEpoch: request.endpointInformationEpoch,
      wantsShutdown: request.shutdownApplication,
    },
    (topic) => makeTopic(topic, context),
  )
}

function checkHeartbeat({ memberId, memberEpoch, instanceId, rackId, ...request }: HeartbeatRequest): void {
  if (memberId.trim() === '') throw refuse('a member has an id')
  if (instanceId?.trim() === '') throw refuse('an instance id is not empty')
  if (rackId?.trim() === '') throw refuse('a rack id is not empty')
  if (memberEpoch < STATIC_LEAVE_EPOCH) throw refuse(`${memberEpoch} is no member epoch; ${LEAVE_EPOCH} leaves`)
  if (memberEpoch === STATIC_LEAVE_EPOCH && instanceId === null) throw refuse('only a static member leaves for a while')
  if (memberEpoch !== JOIN_EPOCH) {
    if (request.topology) throw refuse('a topology is told by who joins')
    return
  }
  if (!request.topology) throw refuse('who joins tells its topology')
  if (request.rebalanceTimeoutMs < 0) throw refuse('who joins says its rebalance timeout')
  if (request.processId === null) throw refuse('who joins says of which process it is')
  for (const tasks of [request.activeTasks, request.standbyTasks, request.warmupTasks])
    if (tasks?.length !== 0) throw refuse('who joins has no tasks, and says so')
}

const refuse = (message: string) => new KafkaError('INVALID_REQUEST', message)

/** Topics that the application does not own must be readable, and are not made. */
function checkTopics({ subtopologies }: Topology, context: RequestContext): void {
  const hidden = subtopologies
    .flatMap((part) => [...inputsOf(part), ...part.repartitionSinks, ...part.changelogs.map(({ name }) => name)])
    .find((name) => !context.allows('describe', { type: 'topic', name }))
  if (hidden !== undefined) throw new KafkaError('TOPIC_AUTHORIZATION_FAILED', `topic ${hidden} may not be read`)
}

async function makeTopic({ name, partitions, configs }: InternalTopic, context: RequestContext): Promise<void> {
  if (!context.allows('create', { type: 'topic', name }))
    throw new KafkaError('TOPIC_AUTHORIZATION_FAILED', 'not allowed to create it')
  try {
    await context.services.engine.createTopic({ name, partitionCount: partitions, configs })
  } catch (error) {
    // Another member was faster.
    if (!(error instanceof KafkaError) || error.code !== ErrorCode.TOPIC_ALREADY_EXISTS) throw error
  }
}

function topologyIn({ epoch, subtopologies }: SaidTopology): Topology {
  return { epoch, subtopologies: subtopologies.map(subtopologyIn) }
}

function subtopologyIn(said: SaidTopology['subtopologies'][number]): Topology['subtopologies'][number] {
  if (said.sourceTopicRegex.length > 0) throw refuse('sources by regular expression are not served')
  const repartitionSources = said.repartitionSourceTopics.map(topicIn)
  return {
    id: said.subtopologyId,
    sources: [...new Set(said.sourceTopics)].sort(),
    changelogs: said.stateChangelogTopics.map(topicIn),
    repartitionSinks: said.repartitionSinkTopics,
    repartitionSources,
    copartitioned: said.copartitionGroups.map((group) => [
      ...group.sourceTopics.map((index) => named(said.sourceTopics[index])),
      ...group.repartitionSourceTopics.map((index) => named(repartitionSources[index]?.name)),
    ]),
  }
}

function named(name: string | undefined): string {
  if (name === undefined) throw invalid('topics that are read together are named by places that there are not')
  return name
}

type SaidTopic = SaidTopology['subtopologies'][number]['stateChangelogTopics'][number]

function topicIn({ name, partitions, replicationFactor, topicConfigs }: SaidTopic): InternalTopic {
  if (replicationFactor > 1) throw invalid(`topic ${name}: there is one broker, use a replication factor of 1 or -1`)
  if (partitions < 0) throw invalid(`topic ${name} has ${partitions} partitions`)
  return { name, partitions, configs: Object.fromEntries(topicConfigs.map(({ key, value }) => [key, value])) }
}

const tasksIn = (said: SaidTasks): Partitions =>
  partitionsOf(said.map(({ subtopologyId: topicId, partitions }) => ({ topicId, partitions })))

const tasksOf = (tasks: Partitions) => [...tasks].map(([subtopologyId, partitions]) => ({ subtopologyId, partitions }))

function heartbeatResponse(reply: StreamsReply, error?: KafkaError): HeartbeatResponse {
  const { memberId, memberEpoch, heartbeatIntervalMs, active, status, endpointEpoch, endpoints } = reply
  return {
    ...{ errorCode: error?.code ?? ErrorCode.NONE, errorMessage: error?.message ?? null },
    ...{ memberId, memberEpoch, heartbeatIntervalMs, ...RECOVERY, status },
    activeTasks: active && tasksOf(active),
    standbyTasks: active && [],
    warmupTasks: active && [],
    endpointInformationEpoch: endpointEpoch,
    partitionsByUserEndpoint: endpoints?.map(endpointOf) ?? null,
  }
}

const endpointOf = ({ endpoint: userEndpoint, topics: activePartitions }: EndpointPartitions) => ({
  ...{ userEndpoint, activePartitions, standbyPartitions: [] },
})

// --- describe ------------------------------------------------------------------------------------------------------

type Described = ResponseInputOf<typeof streamsGroupDescribe>['groups'][number]

export const streamsGroupDescribeHandler = entry(streamsGroupDescribe, 'each', (request, context) => ({
  groups: describeGroups(request, context, { describe: describeOne, undescribed, sizeOf }),
}))

function sizeOf({ topology, members }: Described): number {
  const tasks = members.flatMap(({ assignment, targetAssignment }) => [
    ...assignment.activeTasks,
    ...targetAssignment.activeTasks,
  ])
  const taskBytes = tasks.reduce(
    (sum, { subtopologyId, partitions }) => sum + subtopologyId.length + partitions.length * 4,
    0,
  )
  return taskBytes + members.length * BYTES_PER_MEMBER + JSON.stringify(topology).length
}

const BYTES_PER_MEMBER = 300

function describeOne(groupId: string, context: RequestContext): Described {
  const machine = context.services.groups.group(groupId)?.machine
  if (machine?.type === 'streams') return describe(machine, context)
  return undescribed(groupId, ErrorCode.GROUP_ID_NOT_FOUND, `there is no streams group ${groupId}`)
}

function describe(group: StreamsGroup, context: RequestContext): Described {
  const { groupId, topology } = group
  if (hasHidden((topology?.subtopologies ?? []).flatMap(inputsOf), context))
    return undescribed(groupId, ErrorCode.TOPIC_AUTHORIZATION_FAILED, 'members read topics that may not be described')
  const members = [...group.members].map(({ memberId, profile, standing, target }) => {
    const { instanceId, rackId, clientId, clientHost, streams } = profile
    return {
      ...{ memberId, memberEpoch: standing.epoch, instanceId, rackId, clientId, clientHost },
      topologyEpoch: streams?.topologyEpoch ?? 0,
      processId: streams?.processId ?? '',
      userEndpoint: streams?.userEndpoint ?? null,
      clientTags: streams?.clientTags ?? [],
      ...{ taskOffsets: [], taskEndOffsets: [], isClassic: false },
      assignment: assignmentOf(standing.assigned),
      targetAssignment: assignmentOf(target),
    }
  })
  return {
    ...{ errorCode: ErrorCode.NONE, errorMessage: null, groupId, members },
    ...{ groupState: group.phase, groupEpoch: group.epoch, assignmentEpoch: group.assignmentEpoch },
    topology: topology && { epoch: topology.epoch, subtopologies: subtopologiesOf(group, topology) },
  }
}

const assignmentOf = (active: Partitions) => ({ activeTasks: tasksOf(active), standbyTasks: [], warmupTasks: [] })

/** With the partitions that its topics have, once that is known. */
function subtopologiesOf({ configured }: StreamsGroup, { subtopologies }: Topology) {
  const shown = (topics: readonly InternalTopic[], tasks: number) =>
    topics.map(({ name, partitions, configs }) => ({
      ...{ name, replicationFactor: 1, partitions: configured?.counts.get(name) ?? (partitions || tasks) },
      topicConfigs: Object.entries(configs).map(([key, value]) => ({ key, value })),
    }))
  return subtopologies.map(({ id, sources, repartitionSinks, changelogs, repartitionSources }) => ({
    ...{ subtopologyId: id, sourceTopics: sources, repartitionSinkTopics: repartitionSinks },
    stateChangelogTopics: shown(changelogs, configured?.tasks.get(id) ?? 0),
    repartitionSourceTopics: shown(repartitionSources, 0),
  }))
}

function undescribed(groupId: string, errorCode: number, errorMessage: string | null): Described {
  const rest = { groupState: '', groupEpoch: 0, assignmentEpoch: 0, topology: null, members: [] }
  return { errorCode, errorMessage, groupId, ...rest }
}
