/** Finding offsets: by time, at the ends of a log, by leader epoch; and cutting a log at its front. */
import { api } from '../api.ts'
import { array, int8, int16, int32, int64, since, string, struct, withDefault } from '../schema.ts'

/** timestamp -1 latest, -2 earliest, -3 the record with the largest timestamp (from 7). */
export const listOffsets = api({
  key: 2,
  name: 'ListOffsets',
  versions: [1, 11],
  flexibleFrom: 6,
  request: struct({
    replicaId: withDefault(-1, int32()),
    isolationLevel: since(2, int8()),
    topics: array(
      struct({
        name: string(),
        partitions: array(
          struct({
            partitionIndex: int32(),
            currentLeaderEpoch: since(4, int32(), -1),
            timestamp: int64(),
          }),
        ),
      }),
    ),
    timeoutMs: since(10, int32()),
  }),
  response: struct({
    throttleTimeMs: since(2, int32()),
    topics: array(
      struct({
        name: string(),
        partitions: array(
          struct({
            partitionIndex: int32(),
            errorCode: int16(),
            timestamp: withDefault(-1, int64()),
            offset: withDefault(-1, int64()),
            leaderEpoch: since(4, int32(), -1),
          }),
        ),
      }),
    ),
  }),
})

/** The end offset of the largest epoch that is not above the one asked for (KIP-320). */
export const offsetForLeaderEpoch = api({
  key: 23,
  name: 'OffsetForLeaderEpoch',
  versions: [2, 4],
  flexibleFrom: 4,
  request: struct({
    replicaId: since(3, int32(), -2),
    topics: array(
      struct({
        topic: string(),
        partitions: array(
          struct({
            partition: int32(),
            currentLeaderEpoch: withDefault(-1, int32()),
            leaderEpoch: int32(),
          }),
        ),
      }),
    ),
  }),
  response: struct({
    throttleTimeMs: withDefault(0, int32()),
    topics: array(
      struct({
        topic: string(),
        partitions: array(
          struct({
            errorCode: int16(),
            partition: int32(),
            leaderEpoch: withDefault(-1, int32()),
            endOffset: withDefault(-1, int64()),
          }),
        ),
      }),
    ),
  }),
})

/** Moves the start of a log forward. Offset -1 means up to the high watermark. */
export const deleteRecords = api({
  key: 21,
  name: 'DeleteRecords',
  versions: [0, 2],
  flexibleFrom: 2,
  request: struct({
    topics: array(
      struct({
        name: string(),
        partitions: array(
          struct({
            partitionIndex: int32(),
            offset: int64(),
          }),
        ),
      }),
    ),
    timeoutMs: int32(),
  }),
  response: struct({
    throttleTimeMs: withDefault(0, int32()),
    topics: array(
      struct({
        name: string(),
        partitions: array(
          struct({
            partitionIndex: int32(),
            lowWatermark: int64(),
            errorCode: int16(),
          }),
        ),
      }),
    ),
  }),
})
