/** Where share groups stand in their partitions: looked up, set anew, forgotten (KIP-932). */
import { api } from '../api.ts'
import { array, int16, int32, int64, nullable, since, string, struct, uuid, withDefault } from '../schema.ts'

/** A start offset of -1: the group has none there. 1 brought the lag (KIP-1226). */
export const describeShareGroupOffsets = api({
  key: 90,
  name: 'DescribeShareGroupOffsets',
  versions: [0, 1],
  flexibleFrom: 0,
  request: struct({
    groups: array(
      struct({
        groupId: string(),
        /** null: all that the group has. */
        topics: nullable(array(struct({ topicName: string(), partitions: array(int32()) }))),
      }),
    ),
  }),
  response: struct({
    throttleTimeMs: withDefault(0, int32()),
    groups: array(
      struct({
        groupId: string(),
        topics: array(
          struct({
            topicName: string(),
            topicId: uuid(),
            partitions: array(
              struct({
                partitionIndex: int32(),
                startOffset: int64(),
                leaderEpoch: int32(),
                lag: since(1, int64(), -1),
                errorCode: int16(),
                errorMessage: nullable(string()),
              }),
            ),
          }),
        ),
        errorCode: int16(),
        errorMessage: nullable(string()),
      }),
    ),
  }),
})

export const alterShareGroupOffsets = api({
  key: 91,
  name: 'AlterShareGroupOffsets',
  versions: [0, 0],
  flexibleFrom: 0,
  request: struct({
    groupId: string(),
    topics: array(
      struct({
        topicName: string(),
        partitions: array(struct({ partitionIndex: int32(), startOffset: int64() })),
      }),
    ),
  }),
  response: struct({
    throttleTimeMs: withDefault(0, int32()),
    errorCode: int16(),
    errorMessage: nullable(string()),
    responses: array(
      struct({
        topicName: string(),
        topicId: uuid(),
        partitions: array(struct({ partitionIndex: int32(), errorCode: int16(), errorMessage: nullable(string()) })),
      }),
    ),
  }),
})

export const deleteShareGroupOffsets = api({
  key: 92,
  name: 'DeleteShareGroupOffsets',
  versions: [0, 0],
  flexibleFrom: 0,
  request: struct({
    groupId: string(),
    topics: array(struct({ topicName: string() })),
  }),
  response: struct({
    throttleTimeMs: withDefault(0, int32()),
    errorCode: int16(),
    errorMessage: nullable(string()),
    responses: array(
      struct({ topicName: string(), topicId: uuid(), errorCode: int16(), errorMessage: nullable(string()) }),
    ),
  }),
})
