/** Identities of idempotent producers, and what a log knows of them. */
import { api } from '../api.ts'
import { array, int16, int32, int64, nullable, since, string, struct, withDefault } from '../schema.ts'

/** Without a transactional id: a producer id that is unique for ever, epoch 0 (KIP-98). */
export const initProducerId = api({
  key: 22,
  name: 'InitProducerId',
  versions: [0, 5],
  flexibleFrom: 2,
  request: struct({
    transactionalId: nullable(string()),
    transactionTimeoutMs: int32(),
    producerId: since(3, int64(), -1),
    producerEpoch: since(3, int16(), -1),
  }),
  response: struct({
    throttleTimeMs: withDefault(0, int32()),
    errorCode: int16(),
    producerId: withDefault(-1, int64()),
    producerEpoch: int16(),
  }),
})

/** Last sequence per producer and partition: how a producer that lost its acks learns what has landed (KIP-664). */
export const describeProducers = api({
  key: 61,
  name: 'DescribeProducers',
  versions: [0, 0],
  flexibleFrom: 0,
  request: struct({
    topics: array(
      struct({
        name: string(),
        partitionIndexes: array(int32()),
      }),
    ),
  }),
  response: struct({
    throttleTimeMs: withDefault(0, int32()),
    topics: array(
      struct({
        name: string(),
        partitions: array(
          struct({
            partitionIndex: int32(),
            errorCode: int16(),
            errorMessage: nullable(string()),
            activeProducers: array(
              struct({
                producerId: int64(),
                producerEpoch: int32(),
                lastSequence: withDefault(-1, int32()),
                lastTimestamp: withDefault(-1, int64()),
                coordinatorEpoch: int32(),
                currentTxnStartOffset: withDefault(-1, int64()),
              }),
            ),
          }),
        ),
      }),
    ),
  }),
})
