/** Where the copies of partitions lie, and who leads them. */
import { api } from '../api.ts'
import { array, bool, int8, int16, int32, int64, nullable, since, string, struct, withDefault } from '../schema.ts'

/** Topics null asks for all. Sizes of the volume from 4 on. */
export const describeLogDirs = api({
  key: 35,
  name: 'DescribeLogDirs',
  versions: [1, 5],
  flexibleFrom: 2,
  request: struct({
    topics: nullable(
      array(
        struct({
          topic: string(),
          partitions: array(int32()),
        }),
      ),
    ),
  }),
  response: struct({
    throttleTimeMs: withDefault(0, int32()),
    errorCode: since(3, int16()),
    results: array(
      struct({
        errorCode: int16(),
        logDir: string(),
        topics: array(
          struct({
            name: string(),
            partitions: array(
              struct({
                partitionIndex: int32(),
                partitionSize: int64(),
                offsetLag: int64(),
                isFutureKey: bool(),
              }),
            ),
          }),
        ),
        totalBytes: since(4, int64(), -1),
        usableBytes: since(4, int64(), -1),
        isCordoned: since(5, bool()),
      }),
    ),
  }),
})

/** Partitions null asks for all. Type 0: the preferred leader, 1: any that is left (from version 1). */
export const electLeaders = api({
  key: 43,
  name: 'ElectLeaders',
  versions: [0, 2],
  flexibleFrom: 2,
  request: struct({
    electionType: since(1, int8()),
    topicPartitions: nullable(
      array(
        struct({
          topic: string(),
          partitions: array(int32()),
        }),
      ),
    ),
    timeoutMs: withDefault(60000, int32()),
  }),
  response: struct({
    throttleTimeMs: withDefault(0, int32()),
    errorCode: since(1, int16()),
    replicaElectionResults: array(
      struct({
        topic: string(),
        partitionResult: array(
          struct({
            partitionId: int32(),
            errorCode: int16(),
            errorMessage: nullable(string()),
          }),
        ),
      }),
    ),
  }),
})

/** Replicas null takes a pending reassignment back. */
export const alterPartitionReassignments = api({
  key: 45,
  name: 'AlterPartitionReassignments',
  versions: [0, 1],
  flexibleFrom: 0,
  request: struct({
    timeoutMs: withDefault(60000, int32()),
    allowReplicationFactorChange: since(1, bool(), true),
    topics: array(
      struct({
        name: string(),
        partitions: array(
          struct({
            partitionIndex: int32(),
            replicas: nullable(array(int32())),
          }),
        ),
      }),
    ),
  }),
  response: struct({
    throttleTimeMs: withDefault(0, int32()),
    allowReplicationFactorChange: since(1, bool(), true),
    errorCode: int16(),
    errorMessage: nullable(string()),
    responses: array(
      struct({
        name: string(),
        partitions: array(
          struct({
            partitionIndex: int32(),
            errorCode: int16(),
            errorMessage: nullable(string()),
          }),
        ),
      }),
    ),
  }),
})

/** Topics null asks for all. */
export const listPartitionReassignments = api({
  key: 46,
  name: 'ListPartitionReassignments',
  versions: [0, 0],
  flexibleFrom: 0,
  request: struct({
    timeoutMs: withDefault(60000, int32()),
    topics: nullable(
      array(
        struct({
          name: string(),
          partitionIndexes: array(int32()),
        }),
      ),
    ),
  }),
  response: struct({
    throttleTimeMs: withDefault(0, int32()),
    errorCode: int16(),
    errorMessage: nullable(string()),
    topics: array(
      struct({
        name: string(),
        partitions: array(
          struct({
            partitionIndex: int32(),
            replicas: array(int32()),
            addingReplicas: array(int32()),
            removingReplicas: array(int32()),
          }),
        ),
      }),
    ),
  }),
})
