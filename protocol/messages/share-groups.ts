/** Share groups (KIP-932): members share partitions, and take records one by one. Who is in, and what it may fetch. */
import { api } from '../api.ts'
import { array, bool, int16, int32, nullable, string, struct, uuid, withDefault } from '../schema.ts'

const topicPartitions = struct({
  topicId: uuid(),
  partitions: array(int32()),
})

/** Null stands for "as I said before". `assignment` is null when it is what it was. Epochs: consumer-groups.ts. */
export const shareGroupHeartbeat = api({
  key: 76,
  name: 'ShareGroupHeartbeat',
  versions: [1, 1],
  flexibleFrom: 0,
  request: struct({
    groupId: string(),
    memberId: string(),
    memberEpoch: int32(),
    rackId: nullable(string()),
    subscribedTopicNames: nullable(array(string())),
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

export const shareGroupDescribe = api({
  key: 77,
  name: 'ShareGroupDescribe',
  versions: [1, 1],
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
            rackId: nullable(string()),
            memberEpoch: int32(),
            clientId: string(),
            clientHost: string(),
            subscribedTopicNames: array(string()),
            assignment: struct({
              topicPartitions: array(struct({ topicId: uuid(), topicName: string(), partitions: array(int32()) })),
            }),
          }),
        ),
        authorizedOperations: withDefault(-2147483648, int32()),
      }),
    ),
  }),
})
