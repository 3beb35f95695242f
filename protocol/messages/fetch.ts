/** Reading record batches by offset, waiting for new ones when asked to. */
import { api } from '../api.ts'
import {
  array,
  between,
  int8,
  int16,
  int32,
  int64,
  nullable,
  records,
  since,
  string,
  struct,
  tagged,
  until,
  uuid,
  withDefault,
} from '../schema.ts'

/** Flexible from 12. 7 brought incremental sessions, 12 divergence by leader epoch, 13 topic ids. */
export const fetch = api({
  key: 1,
  name: 'Fetch',
  versions: [4, 18],
  flexibleFrom: 12,
  request: struct({
    clusterId: tagged(0, 12, nullable(string())),
    replicaId: until(14, int32(), -1),
    replicaState: tagged(
      1,
      15,
      struct({
        replicaId: since(15, int32(), -1),
        replicaEpoch: since(15, int64(), -1),
      }),
    ),
    maxWaitMs: int32(),
    minBytes: int32(),
    maxBytes: withDefault(2147483647, int32()),
    isolationLevel: withDefault(0, int8()),
    sessionId: since(7, int32()),
    sessionEpoch: since(7, int32(), -1),
    topics: array(
      struct({
        topic: until(12, string()),
        topicId: since(13, uuid()),
        partitions: array(
          struct({
            partition: int32(),
            currentLeaderEpoch: since(9, int32(), -1),
            fetchOffset: int64(),
            lastFetchedEpoch: since(12, int32(), -1),
            logStartOffset: since(5, int64(), -1),
            partitionMaxBytes: int32(),
            replicaDirectoryId: tagged(0, 17, uuid()),
            highWatermark: tagged(1, 18, int64(), Number.MAX_SAFE_INTEGER),
          }),
        ),
      }),
    ),
    forgottenTopicsData: since(
      7,
      array(
        struct({
          topic: between(7, 12, string()),
          topicId: since(13, uuid()),
          partitions: since(7, array(int32())),
        }),
      ),
    ),
    rackId: since(11, string()),
  }),
  response: struct({
    throttleTimeMs: withDefault(0, int32()),
    errorCode: since(7, int16()),
    sessionId: since(7, int32()),
    responses: array(
      struct({
        topic: until(12, string()),
        topicId: since(13, uuid()),
        partitions: array(
          struct({
            partitionIndex: int32(),
            errorCode: int16(),
            highWatermark: int64(),
            lastStableOffset: withDefault(-1, int64()),
            logStartOffset: since(5, int64(), -1),
            divergingEpoch: tagged(
              0,
              12,
              struct({
                epoch: since(12, int32(), -1),
                endOffset: since(12, int64(), -1),
              }),
            ),
            currentLeader: tagged(
              1,
              12,
              struct({
                leaderId: since(12, int32(), -1),
                leaderEpoch: since(12, int32(), -1),
              }),
            ),
            snapshotId: tagged(
              2,
              12,
              struct({
                endOffset: withDefault(-1, int64()),
                epoch: withDefault(-1, int32()),
              }),
            ),
            abortedTransactions: nullable(
              array(
                struct({
                  producerId: int64(),
                  firstOffset: int64(),
                }),
              ),
            ),
            preferredReadReplica: since(11, int32(), -1),
            records: nullable(records()),
          }),
        ),
      }),
    ),
    nodeEndpoints: tagged(
      0,
      16,
      array(
        struct({
          nodeId: since(16, int32()),
          host: since(16, string()),
          port: since(16, int32()),
          rack: since(16, nullable(string())),
        }),
      ),
    ),
  }),
})
