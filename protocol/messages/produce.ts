/** Appending record batches. One batch per partition and request. */
import { api } from '../api.ts'
import {
  array,
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

/** Far from the tags that Kafka gives out one by one. */
const DURABILITY_TAG = 20_000
export const FSYNC = 0
export const RELAXED = 1

/** Flexible from 9. 13 names topics by id, so that a write never lands in a topic created anew under an old name. */
export const produce = api({
  key: 0,
  name: 'Produce',
  versions: [3, 13],
  flexibleFrom: 9,
  request: struct({
    transactionalId: nullable(string()),
    acks: int16(),
    timeoutMs: int32(),
    topicData: array(
      struct({
        name: until(12, string()),
        topicId: since(13, uuid()),
        partitionData: array(
          struct({
            index: int32(),
            records: nullable(records()),
          }),
        ),
      }),
    ),
  }),
  response: struct({
    responses: array(
      struct({
        name: until(12, string()),
        topicId: since(13, uuid()),
        partitionResponses: array(
          struct({
            index: int32(),
            errorCode: int16(),
            baseOffset: int64(),
            logAppendTimeMs: withDefault(-1, int64()),
            logStartOffset: since(5, int64(), -1),
            recordErrors: since(
              8,
              array(
                struct({
                  batchIndex: since(8, int32()),
                  batchIndexErrorMessage: since(8, nullable(string())),
                }),
              ),
            ),
            errorMessage: since(8, nullable(string())),
            currentLeader: tagged(
              0,
              10,
              struct({
                leaderId: since(10, int32(), -1),
                leaderEpoch: since(10, int32(), -1),
              }),
            ),
            /** Ottla's own, sent to Ottla's clients: 1 when the batch is written and not yet on disk. */
            durability: tagged(DURABILITY_TAG, 9, int8(), FSYNC),
          }),
        ),
      }),
    ),
    throttleTimeMs: withDefault(0, int32()),
    nodeEndpoints: tagged(
      0,
      10,
      array(
        struct({
          nodeId: since(10, int32()),
          host: since(10, string()),
          port: since(10, int32()),
          rack: since(10, nullable(string())),
        }),
      ),
    ),
  }),
})
