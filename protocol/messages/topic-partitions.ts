/** Topics with their partitions, in pieces (KIP-966). */
import { api } from '../api.ts'
import { array, bool, int16, int32, nullable, string, struct, uuid, withDefault } from '../schema.ts'

/** Topics in the order of their names; the cursor says where the next piece begins. No topics asks for all. */
export const describeTopicPartitions = api({
  key: 75,
  name: 'DescribeTopicPartitions',
  versions: [0, 0],
  flexibleFrom: 0,
  request: struct({
    topics: array(
      struct({
        name: string(),
      }),
    ),
    responsePartitionLimit: withDefault(2000, int32()),
    cursor: nullable(
      struct({
        topicName: string(),
        partitionIndex: int32(),
      }),
    ),
  }),
  response: struct({
    throttleTimeMs: withDefault(0, int32()),
    topics: array(
      struct({
        errorCode: int16(),
        name: nullable(string()),
        topicId: uuid(),
        isInternal: withDefault(false, bool()),
        partitions: array(
          struct({
            errorCode: int16(),
            partitionIndex: int32(),
            leaderId: int32(),
            leaderEpoch: withDefault(-1, int32()),
            replicaNodes: array(int32()),
            isrNodes: array(int32()),
            eligibleLeaderReplicas: nullable(array(int32())),
            lastKnownElr: nullable(array(int32())),
            offlineReplicas: array(int32()),
          }),
        ),
        topicAuthorizedOperations: withDefault(-2147483648, int32()),
      }),
    ),
    nextCursor: nullable(
      struct({
        topicName: string(),
        partitionIndex: int32(),
      }),
    ),
  }),
})
