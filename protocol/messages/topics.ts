/** Making, growing and removing topics. */
import { api } from '../api.ts'
import {
  array,
  bool,
  int8,
  int16,
  int32,
  nullable,
  since,
  string,
  struct,
  tagged,
  until,
  uuid,
  withDefault,
} from '../schema.ts'

/** Partition count and replication factor -1 ask for the defaults (from 4). The id comes back from 7 on. */
export const createTopics = api({
  key: 19,
  name: 'CreateTopics',
  versions: [2, 7],
  flexibleFrom: 5,
  request: struct({
    topics: array(
      struct({
        name: string(),
        numPartitions: int32(),
        replicationFactor: int16(),
        assignments: array(
          struct({
            partitionIndex: int32(),
            brokerIds: array(int32()),
          }),
        ),
        configs: array(
          struct({
            name: string(),
            value: nullable(string()),
          }),
        ),
      }),
    ),
    timeoutMs: withDefault(60000, int32()),
    validateOnly: bool(),
  }),
  response: struct({
    throttleTimeMs: withDefault(0, int32()),
    topics: array(
      struct({
        name: string(),
        topicId: since(7, uuid()),
        errorCode: int16(),
        errorMessage: nullable(string()),
        topicConfigErrorCode: tagged(0, 5, int16()),
        numPartitions: since(5, int32(), -1),
        replicationFactor: since(5, int16(), -1),
        configs: since(
          5,
          nullable(
            array(
              struct({
                name: since(5, string()),
                value: since(5, nullable(string())),
                readOnly: since(5, bool()),
                configSource: since(5, int8(), -1),
                isSensitive: since(5, bool()),
              }),
            ),
          ),
        ),
      }),
    ),
  }),
})

/** By name, from 6 also by id. */
export const deleteTopics = api({
  key: 20,
  name: 'DeleteTopics',
  versions: [1, 6],
  flexibleFrom: 4,
  request: struct({
    topics: since(
      6,
      array(
        struct({
          name: since(6, nullable(string())),
          topicId: since(6, uuid()),
        }),
      ),
    ),
    topicNames: until(5, array(string())),
    timeoutMs: int32(),
  }),
  response: struct({
    throttleTimeMs: withDefault(0, int32()),
    responses: array(
      struct({
        name: nullable(string()),
        topicId: since(6, uuid()),
        errorCode: int16(),
        errorMessage: since(5, nullable(string())),
      }),
    ),
  }),
})

/** `count` is the new total, never less than before. */
export const createPartitions = api({
  key: 37,
  name: 'CreatePartitions',
  versions: [0, 3],
  flexibleFrom: 2,
  request: struct({
    topics: array(
      struct({
        name: string(),
        count: int32(),
        assignments: nullable(
          array(
            struct({
              brokerIds: array(int32()),
            }),
          ),
        ),
      }),
    ),
    timeoutMs: int32(),
    validateOnly: bool(),
  }),
  response: struct({
    throttleTimeMs: withDefault(0, int32()),
    results: array(
      struct({
        name: string(),
        errorCode: int16(),
        errorMessage: nullable(string()),
      }),
    ),
  }),
})
