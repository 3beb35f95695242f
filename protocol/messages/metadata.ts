/** Topics, partitions and where to find them. */
import { api } from '../api.ts'
import {
  array,
  between,
  bool,
  int8,
  int16,
  int32,
  nullable,
  since,
  string,
  struct,
  uuid,
  withDefault,
} from '../schema.ts'

/** Topics null asks for all; an empty array for none (in version 0 an empty array asks for all). Ids from 10, lookup by id from 12. */
export const metadata = api({
  key: 3,
  name: 'Metadata',
  versions: [0, 13],
  flexibleFrom: 9,
  request: struct({
    topics: nullable(
      array(
        struct({
          topicId: since(10, uuid()),
          name: nullable(string()),
        }),
      ),
    ),
    allowAutoTopicCreation: since(4, bool(), true),
    includeClusterAuthorizedOperations: between(8, 10, bool()),
    includeTopicAuthorizedOperations: since(8, bool()),
  }),
  response: struct({
    throttleTimeMs: since(3, int32()),
    brokers: array(
      struct({
        nodeId: int32(),
        host: string(),
        port: int32(),
        rack: since(1, nullable(string())),
      }),
    ),
    clusterId: since(2, nullable(string())),
    controllerId: since(1, int32(), -1),
    topics: array(
      struct({
        errorCode: int16(),
        name: nullable(string()),
        topicId: since(10, uuid()),
        isInternal: since(1, bool()),
        partitions: array(
          struct({
            errorCode: int16(),
            partitionIndex: int32(),
            leaderId: int32(),
            leaderEpoch: since(7, int32(), -1),
            replicaNodes: array(int32()),
            isrNodes: array(int32()),
            offlineReplicas: since(5, array(int32())),
          }),
        ),
        topicAuthorizedOperations: since(8, int32(), -2147483648),
      }),
    ),
    clusterAuthorizedOperations: between(8, 10, int32(), -2147483648),
    errorCode: since(13, int16()),
  }),
})

/** Who answers here. */
export const describeCluster = api({
  key: 60,
  name: 'DescribeCluster',
  versions: [0, 2],
  flexibleFrom: 0,
  request: struct({
    includeClusterAuthorizedOperations: bool(),
    endpointType: since(1, int8(), 1),
    includeFencedBrokers: since(2, bool()),
  }),
  response: struct({
    throttleTimeMs: withDefault(0, int32()),
    errorCode: int16(),
    errorMessage: nullable(string()),
    endpointType: since(1, int8(), 1),
    clusterId: string(),
    controllerId: withDefault(-1, int32()),
    brokers: array(
      struct({
        brokerId: int32(),
        host: string(),
        port: int32(),
        rack: nullable(string()),
        isFenced: since(2, bool()),
      }),
    ),
    clusterAuthorizedOperations: withDefault(-2147483648, int32()),
  }),
})
