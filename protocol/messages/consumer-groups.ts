/** Consumer groups of the next generation (KIP-848): the coordinator assigns, one heartbeat says and hears everything. */
import { api } from '../api.ts'
import { array, bool, int8, int16, int32, nullable, since, string, struct, uuid, withDefault } from '../schema.ts'

const topicPartitions = struct({
  topicId: uuid(),
  partitions: array(int32()),
})

const namedTopicPartitions = struct({
  topicId: uuid(),
  topicName: string(),
  partitions: array(int32()),
})

/** What `memberEpoch` says in a request that is not just a sign of life. */
export const JOIN_EPOCH = 0
export const LEAVE_EPOCH = -1
/** A static member that will be back. */
export const STATIC_LEAVE_EPOCH = -2

/**
 * Null (and -1) stands for "as I said before". From 1 the member makes up its id itself, a UUID, and may subscribe by
 * regular expression. `assignment` is null when it is what it was.
 */
export const consumerGroupHeartbeat = api({
  key: 68,
  name: 'ConsumerGroupHeartbeat',
  versions: [0, 1],
  flexibleFrom: 0,
  request: struct({
    groupId: string(),
    memberId: string(),
    memberEpoch: int32(),
    instanceId: nullable(string()),
    rackId: nullable(string()),
    rebalanceTimeoutMs: withDefault(-1, int32()),
    subscribedTopicNames: nullable(array(string())),
    subscribedTopicRegex: since(1, nullable(string())),
    serverAssignor: nullable(string()),
    topicPartitions: nullable(array(topicPartitions)),
  }),
  response: struct({
    throttleTimeMs: withDefault(0, int32()),
    errorCode: int16(),
    errorMessage: nullable(string()),
    memberId: nullable(string()),
    memberEpoch: int32(),
    heartbeatIntervalMs: int32(),
    assignment: nullable(struct({ topicPartitions: array(topicPartitions) })),
  }),
})

/** From 1 it tells members of the classic protocol (0) from others (1). */
export const consumerGroupDescribe = api({
  key: 69,
  name: 'ConsumerGroupDescribe',
  versions: [0, 1],
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
        assignorName: string(),
        members: array(
          struct({
            memberId: string(),
            instanceId: nullable(string()),
            rackId: nullable(string()),
            memberEpoch: int32(),
            clientId: string(),
            clientHost: string(),
            subscribedTopicNames: array(string()),
            subscribedTopicRegex: nullable(string()),
            assignment: struct({ topicPartitions: array(namedTopicPartitions) }),
            targetAssignment: struct({ topicPartitions: array(namedTopicPartitions) }),
            memberType: since(1, int8(), -1),
          }),
        ),
        authorizedOperations: withDefault(-2147483648, int32()),
      }),
    ),
  }),
})
