/** Who keeps the cluster's metadata (KIP-595). */
import { api } from '../api.ts'
import { array, int16, int32, int64, nullable, since, string, struct, uint16, uuid } from '../schema.ts'

const replica = () =>
  struct({
    replicaId: int32(),
    replicaDirectoryId: since(2, uuid()),
    logEndOffset: int64(),
    lastFetchTimestamp: since(1, int64(), -1),
    lastCaughtUpTimestamp: since(1, int64(), -1),
  })

/** Times of replicas from 1 (KIP-836), the nodes and where they listen from 2 (KIP-853). */
export const describeQuorum = api({
  key: 55,
  name: 'DescribeQuorum',
  versions: [0, 2],
  flexibleFrom: 0,
  request: struct({
    topics: array(
      struct({
        topicName: string(),
        partitions: array(
          struct({
            partitionIndex: int32(),
          }),
        ),
      }),
    ),
  }),
  response: struct({
    errorCode: int16(),
    errorMessage: since(2, nullable(string())),
    topics: array(
      struct({
        topicName: string(),
        partitions: array(
          struct({
            partitionIndex: int32(),
            errorCode: int16(),
            errorMessage: since(2, nullable(string())),
            leaderId: int32(),
            leaderEpoch: int32(),
            highWatermark: int64(),
            currentVoters: array(replica()),
            observers: array(replica()),
          }),
        ),
      }),
    ),
    nodes: since(
      2,
      array(
        struct({
          nodeId: since(2, int32()),
          listeners: since(
            2,
            array(
              struct({
                name: since(2, string()),
                host: since(2, string()),
                port: since(2, uint16()),
              }),
            ),
          ),
        }),
      ),
    ),
  }),
})
