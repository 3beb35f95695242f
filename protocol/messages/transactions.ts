/** Transactions: partitions and offsets come in, one decision ends them all (KIP-98, KIP-890). */
import { api } from '../api.ts'
import {
  array,
  bool,
  int8,
  int16,
  int32,
  int64,
  nullable,
  since,
  string,
  struct,
  until,
  withDefault,
} from '../schema.ts'

const topicPartitions = () => array(struct({ name: string(), partitions: array(int32()) }))

const partitionResults = () =>
  array(
    struct({
      name: string(),
      resultsByPartition: array(struct({ partitionIndex: int32(), partitionErrorCode: int16() })),
    }),
  )

/**
 * Up to 3 a client's one transaction; from 4 many, and `verifyOnly` asks whether partitions are in. Clients that speak
 * transaction version 2 don't send it: their Produce 12 adds what it writes to.
 */
export const addPartitionsToTxn = api({
  key: 24,
  name: 'AddPartitionsToTxn',
  versions: [0, 5],
  flexibleFrom: 3,
  request: struct({
    transactions: since(
      4,
      array(
        struct({
          transactionalId: string(),
          producerId: int64(),
          producerEpoch: int16(),
          verifyOnly: withDefault(false, bool()),
          topics: topicPartitions(),
        }),
      ),
    ),
    transactionalId: until(3, string()),
    producerId: until(3, int64()),
    producerEpoch: until(3, int16()),
    topics: until(3, topicPartitions()),
  }),
  response: struct({
    throttleTimeMs: withDefault(0, int32()),
    errorCode: since(4, int16()),
    resultsByTransaction: since(4, array(struct({ transactionalId: string(), topicResults: partitionResults() }))),
    resultsByTopic: until(3, partitionResults()),
  }),
})

/** Offsets of this group will be committed with the transaction. TxnOffsetCommit 5 says it by itself. */
export const addOffsetsToTxn = api({
  key: 25,
  name: 'AddOffsetsToTxn',
  versions: [0, 4],
  flexibleFrom: 3,
  request: struct({
    transactionalId: string(),
    producerId: int64(),
    producerEpoch: int16(),
    groupId: string(),
  }),
  response: struct({
    throttleTimeMs: withDefault(0, int32()),
    errorCode: int16(),
  }),
})

/** From 5 the answer has the identity for the next transaction: every end raises the epoch. */
export const endTxn = api({
  key: 26,
  name: 'EndTxn',
  versions: [0, 5],
  flexibleFrom: 3,
  request: struct({
    transactionalId: string(),
    producerId: int64(),
    producerEpoch: int16(),
    /** False: aborted. */
    committed: bool(),
  }),
  response: struct({
    throttleTimeMs: withDefault(0, int32()),
    errorCode: int16(),
    producerId: since(5, int64(), -1),
    producerEpoch: since(5, int16(), -1),
  }),
})

/** Between brokers; here for the tool that ends a transaction which nobody coordinates. */
export const writeTxnMarkers = api({
  key: 27,
  name: 'WriteTxnMarkers',
  versions: [1, 2],
  flexibleFrom: 1,
  request: struct({
    markers: array(
      struct({
        producerId: int64(),
        producerEpoch: int16(),
        /** False: aborted. */
        transactionResult: bool(),
        topics: array(struct({ name: string(), partitionIndexes: array(int32()) })),
        coordinatorEpoch: int32(),
        transactionVersion: since(2, int8()),
      }),
    ),
  }),
  response: struct({
    markers: array(
      struct({
        producerId: int64(),
        topics: array(
          struct({
            name: string(),
            partitions: array(struct({ partitionIndex: int32(), errorCode: int16() })),
          }),
        ),
      }),
    ),
  }),
})

/** Offsets that count when the transaction commits. Member and generation from 3 on. */
export const txnOffsetCommit = api({
  key: 28,
  name: 'TxnOffsetCommit',
  versions: [0, 5],
  flexibleFrom: 3,
  request: struct({
    transactionalId: string(),
    groupId: string(),
    producerId: int64(),
    producerEpoch: int16(),
    generationId: since(3, int32(), -1),
    memberId: since(3, string()),
    groupInstanceId: since(3, nullable(string())),
    topics: array(
      struct({
        name: string(),
        partitions: array(
          struct({
            partitionIndex: int32(),
            committedOffset: int64(),
            committedLeaderEpoch: since(2, int32(), -1),
            committedMetadata: nullable(string()),
          }),
        ),
      }),
    ),
  }),
  response: struct({
    throttleTimeMs: withDefault(0, int32()),
    topics: array(
      struct({
        name: string(),
        partitions: array(struct({ partitionIndex: int32(), errorCode: int16() })),
      }),
    ),
  }),
})
