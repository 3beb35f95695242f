/** What transactions there are, for administrators (KIP-664, KIP-994, KIP-1152). */
import { api } from '../api.ts'
import { array, int16, int32, int64, nullable, since, string, struct, withDefault } from '../schema.ts'

/** While a transaction is being ended, only the partitions that have no marker yet. */
export const describeTransactions = api({
  key: 65,
  name: 'DescribeTransactions',
  versions: [0, 0],
  flexibleFrom: 0,
  request: struct({ transactionalIds: array(string()) }),
  response: struct({
    throttleTimeMs: withDefault(0, int32()),
    transactionStates: array(
      struct({
        errorCode: int16(),
        transactionalId: string(),
        transactionState: string(),
        transactionTimeoutMs: int32(),
        transactionStartTimeMs: int64(),
        producerId: int64(),
        producerEpoch: int16(),
        topics: array(struct({ topic: string(), partitions: array(int32()) })),
      }),
    ),
  }),
})

/**
 * Filters that are empty (a duration below 0, no pattern) let everything pass. The pattern is a regular expression in RE2's
 * syntax, which an id matches as a whole.
 */
export const listTransactions = api({
  key: 66,
  name: 'ListTransactions',
  versions: [0, 2],
  flexibleFrom: 0,
  request: struct({
    stateFilters: array(string()),
    producerIdFilters: array(int64()),
    durationFilter: since(1, int64(), -1),
    transactionalIdPattern: since(2, nullable(string())),
  }),
  response: struct({
    throttleTimeMs: withDefault(0, int32()),
    errorCode: int16(),
    unknownStateFilters: array(string()),
    transactionStates: array(struct({ transactionalId: string(), producerId: int64(), transactionState: string() })),
  }),
})
