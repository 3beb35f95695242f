/** Committed offsets of groups. */
import { api } from '../api.ts'
import {
  array,
  between,
  bool,
  int16,
  int32,
  int64,
  nullable,
  since,
  string,
  struct,
  until,
  uuid,
  withDefault,
} from '../schema.ts'

/** Generation -1 and no member id: a client that is in no group. From 9 for both protocols, from 10 by topic id. */
export const offsetCommit = api({
  key: 8,
  name: 'OffsetCommit',
  versions: [2, 10],
  flexibleFrom: 8,
  request: struct({
    groupId: string(),
    generationIdOrMemberEpoch: withDefault(-1, int32()),
    memberId: string(),
    groupInstanceId: since(7, nullable(string())),
    retentionTimeMs: until(4, int64(), -1),
    topics: array(
      struct({
        name: until(9, string()),
        topicId: since(10, uuid()),
        partitions: array(
          struct({
            partitionIndex: int32(),
            committedOffset: int64(),
            committedLeaderEpoch: since(6, int32(), -1),
            committedMetadata: nullable(string()),
          }),
        ),
      }),
    ),
  }),
  response: struct({
    throttleTimeMs: since(3, int32()),
    topics: array(
      struct({
        name: until(9, string()),
        topicId: since(10, uuid()),
        partitions: array(
          struct({
            partitionIndex: int32(),
            errorCode: int16(),
          }),
        ),
      }),
    ),
  }),
})

/** Topics null asks for all (from 2). Several groups at once from 8, by topic id from 10. */
export const offsetFetch = api({
  key: 9,
  name: 'OffsetFetch',
  versions: [1, 10],
  flexibleFrom: 6,
  request: struct({
    groupId: until(7, string()),
    topics: until(
      7,
      nullable(
        array(
          struct({
            name: until(7, string()),
            partitionIndexes: until(7, array(int32())),
          }),
        ),
      ),
    ),
    groups: since(
      8,
      array(
        struct({
          groupId: since(8, string()),
          memberId: since(9, nullable(string())),
          memberEpoch: since(9, int32(), -1),
          topics: since(
            8,
            nullable(
              array(
                struct({
                  name: between(8, 9, string()),
                  topicId: since(10, uuid()),
                  partitionIndexes: since(8, array(int32())),
                }),
              ),
            ),
          ),
        }),
      ),
    ),
    requireStable: since(7, bool()),
  }),
  response: struct({
    throttleTimeMs: since(3, int32()),
    topics: until(
      7,
      array(
        struct({
          name: until(7, string()),
          partitions: until(
            7,
            array(
              struct({
                partitionIndex: until(7, int32()),
                committedOffset: until(7, int64()),
                committedLeaderEpoch: between(5, 7, int32(), -1),
                metadata: until(7, nullable(string())),
                errorCode: until(7, int16()),
              }),
            ),
          ),
        }),
      ),
    ),
    errorCode: between(2, 7, int16()),
    groups: since(
      8,
      array(
        struct({
          groupId: since(8, string()),
          topics: since(
            8,
            array(
              struct({
                name: between(8, 9, string()),
                topicId: since(10, uuid()),
                partitions: since(
                  8,
                  array(
                    struct({
                      partitionIndex: since(8, int32()),
                      committedOffset: since(8, int64()),
                      committedLeaderEpoch: since(8, int32(), -1),
                      metadata: since(8, nullable(string())),
                      errorCode: since(8, int16()),
                    }),
                  ),
                ),
              }),
            ),
          ),
          errorCode: since(8, int16()),
        }),
      ),
    ),
  }),
})

/** Only for topics to which no member is subscribed. */
export const offsetDelete = api({
  key: 47,
  name: 'OffsetDelete',
  versions: [0, 0],
  request: struct({
    groupId: string(),
    topics: array(
      struct({
        name: string(),
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
    throttleTimeMs: withDefault(0, int32()),
    topics: array(
      struct({
        name: string(),
        partitions: array(
          struct({
            partitionIndex: int32(),
            errorCode: int16(),
          }),
        ),
      }),
    ),
  }),
})
