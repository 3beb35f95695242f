/** Groups of Kafka Streams (KIP-1071): the coordinator knows the topology, makes its topics, and gives out its tasks. */
import { api } from '../api.ts'
import { array, bool, int8, int16, int32, int64, nullable, string, struct, uint16, withDefault } from '../schema.ts'

const keyValue = struct({ key: string(), value: string() })
const topicInfo = struct({
  name: string(),
  /** 0: as many as what is written to it has, or (changelogs) as the subtopology has tasks. */
  partitions: int32(),
  replicationFactor: int16(),
  topicConfigs: array(keyValue),
})
const endpoint = struct({ host: string(), port: uint16() })
const taskOffset = struct({ subtopologyId: string(), partition: int32(), offset: int64() })
const taskIds = array(struct({ subtopologyId: string(), partitions: array(int32()) }))
const topicPartitions = array(struct({ topic: string(), partitions: array(int32()) }))

export const StreamsStatus = {
  staleTopology: 0,
  missingSourceTopics: 1,
  incorrectlyPartitionedTopics: 2,
  missingInternalTopics: 3,
  shutdownApplication: 4,
  assignmentDelayed: 5,
} as const

/** Null (and -1) stands for "as I said before"; tasks are null when they are what they were. */
export const streamsGroupHeartbeat = api({
  key: 88,
  name: 'StreamsGroupHeartbeat',
  versions: [0, 0],
  flexibleFrom: 0,
  request: struct({
    groupId: string(),
    memberId: string(),
    memberEpoch: int32(),
    endpointInformationEpoch: int32(),
    instanceId: nullable(string()),
    rackId: nullable(string()),
    rebalanceTimeoutMs: withDefault(-1, int32()),
    topology: nullable(
      struct({
        epoch: int32(),
        subtopologies: array(
          struct({
            subtopologyId: string(),
            sourceTopics: array(string()),
            sourceTopicRegex: array(string()),
            stateChangelogTopics: array(topicInfo),
            repartitionSinkTopics: array(string()),
            repartitionSourceTopics: array(topicInfo),
            /** By their places in the lists above. */
            copartitionGroups: array(
              struct({
                sourceTopics: array(int16()),
                sourceTopicRegex: array(int16()),
                repartitionSourceTopics: array(int16()),
              }),
            ),
          }),
        ),
      }),
    ),
    activeTasks: nullable(taskIds),
    standbyTasks: nullable(taskIds),
    warmupTasks: nullable(taskIds),
    processId: nullable(string()),
    userEndpoint: nullable(endpoint),
    clientTags: nullable(array(keyValue)),
    taskOffsets: nullable(array(taskOffset)),
    taskEndOffsets: nullable(array(taskOffset)),
    shutdownApplication: withDefault(false, bool()),
  }),
  response: struct({
    throttleTimeMs: withDefault(0, int32()),
    errorCode: int16(),
    errorMessage: nullable(string()),
    memberId: string(),
    memberEpoch: int32(),
    heartbeatIntervalMs: int32(),
    acceptableRecoveryLag: int32(),
    taskOffsetIntervalMs: int32(),
    status: nullable(array(struct({ statusCode: int8(), statusDetail: string() }))),
    activeTasks: nullable(taskIds),
    standbyTasks: nullable(taskIds),
    warmupTasks: nullable(taskIds),
    endpointInformationEpoch: int32(),
    partitionsByUserEndpoint: nullable(
      array(struct({ userEndpoint: endpoint, activePartitions: topicPartitions, standbyPartitions: topicPartitions })),
    ),
  }),
})

const assignment = struct({ activeTasks: taskIds, standbyTasks: taskIds, warmupTasks: taskIds })

export const streamsGroupDescribe = api({
  key: 89,
  name: 'StreamsGroupDescribe',
  versions: [0, 0],
  flexibleFrom: 0,
  request: struct({
    groupIds: array(string()),
    includeAuthorizedOperations: withDefault(false, bool()),
  }),
  response: struct({
    throttleTimeMs: withDefault(0, int32()),
    groups: array(
      struct({
        errorCode: int16(),
        errorMessage: nullable(string()),
        groupId: string(),
        groupState: string(),
        groupEpoch: int32(),
        assignmentEpoch: int32(),
        topology: nullable(
          struct({
            epoch: int32(),
            subtopologies: nullable(
              array(
                struct({
                  subtopologyId: string(),
                  sourceTopics: array(string()),
                  repartitionSinkTopics: array(string()),
                  stateChangelogTopics: array(topicInfo),
                  repartitionSourceTopics: array(topicInfo),
                }),
              ),
            ),
          }),
        ),
        members: array(
          struct({
            memberId: string(),
            memberEpoch: int32(),
            instanceId: nullable(string()),
            rackId: nullable(string()),
            clientId: string(),
            clientHost: string(),
            topologyEpoch: int32(),
            processId: string(),
            userEndpoint: nullable(endpoint),
            clientTags: array(keyValue),
            taskOffsets: array(taskOffset),
            taskEndOffsets: array(taskOffset),
            assignment,
            targetAssignment: assignment,
            isClassic: bool(),
          }),
        ),
        authorizedOperations: withDefault(-2147483648, int32()),
      }),
    ),
  }),
})
