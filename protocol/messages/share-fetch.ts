/** Records for members of share groups: taken for a while, and acknowledged one by one or in runs (KIP-932). */
import { api } from '../api.ts'
import {
  array,
  bool,
  int8,
  int16,
  int32,
  int64,
  nullable,
  records,
  since,
  string,
  struct,
  uuid,
  withDefault,
} from '../schema.ts'

/** What `shareSessionEpoch` says in a request that does not go on with a session. */
export const OPEN_SESSION = 0
export const CLOSE_SESSION = -1

/** Of one record. `gap`: there is none at this offset. `renew` (KIP-1222): still at work, hold it for me. */
export const AcknowledgeType = { gap: 0, accept: 1, release: 2, reject: 3, renew: 4 } as const
/** KIP-1206: whole batches where they would be cut, or no more records than asked for. */
export const AcquireMode = { batchOptimized: 0, recordLimit: 1 } as const

/** One type for all offsets of the batch, or one for each. */
const acknowledgementBatch = struct({
  firstOffset: int64(),
  lastOffset: int64(),
  acknowledgeTypes: array(int8()),
})

const currentLeader = struct({ leaderId: withDefault(-1, int32()), leaderEpoch: withDefault(-1, int32()) })

const nodeEndpoints = array(struct({ nodeId: int32(), host: string(), port: int32(), rack: nullable(string()) }))

/** A session remembers its partitions; a request names what is new in it. 2 brought acquire modes and renewals. */
export const shareFetch = api({
  key: 78,
  name: 'ShareFetch',
  versions: [1, 2],
  flexibleFrom: 0,
  request: struct({
    groupId: nullable(string()),
    memberId: nullable(string()),
    shareSessionEpoch: int32(),
    maxWaitMs: int32(),
    minBytes: int32(),
    maxBytes: withDefault(2147483647, int32()),
    maxRecords: int32(),
    batchSize: int32(),
    shareAcquireMode: since(2, int8(), AcquireMode.batchOptimized),
    isRenewAck: since(2, bool(), false),
    topics: array(
      struct({
        topicId: uuid(),
        partitions: array(struct({ partitionIndex: int32(), acknowledgementBatches: array(acknowledgementBatch) })),
      }),
    ),
    forgottenTopicsData: array(struct({ topicId: uuid(), partitions: array(int32()) })),
  }),
  response: struct({
    throttleTimeMs: withDefault(0, int32()),
    errorCode: int16(),
    errorMessage: nullable(string()),
    acquisitionLockTimeoutMs: int32(),
    responses: array(
      struct({
        topicId: uuid(),
        partitions: array(
          struct({
            partitionIndex: int32(),
            errorCode: int16(),
            errorMessage: nullable(string()),
            acknowledgeErrorCode: int16(),
            acknowledgeErrorMessage: nullable(string()),
            currentLeader,
            records: nullable(records()),
            acquiredRecords: array(struct({ firstOffset: int64(), lastOffset: int64(), deliveryCount: int16() })),
          }),
        ),
      }),
    ),
    nodeEndpoints,
  }),
})

/** The same without fetching. */
export const shareAcknowledge = api({
  key: 79,
  name: 'ShareAcknowledge',
  versions: [1, 2],
  flexibleFrom: 0,
  request: struct({
    groupId: nullable(string()),
    memberId: nullable(string()),
    shareSessionEpoch: int32(),
    isRenewAck: since(2, bool(), false),
    topics: array(
      struct({
        topicId: uuid(),
        partitions: array(struct({ partitionIndex: int32(), acknowledgementBatches: array(acknowledgementBatch) })),
      }),
    ),
  }),
  response: struct({
    throttleTimeMs: withDefault(0, int32()),
    errorCode: int16(),
    errorMessage: nullable(string()),
    acquisitionLockTimeoutMs: since(2, int32()),
    responses: array(
      struct({
        topicId: uuid(),
        partitions: array(
          struct({
            partitionIndex: int32(),
            errorCode: int16(),
            errorMessage: nullable(string()),
            currentLeader,
          }),
        ),
      }),
    ),
    nodeEndpoints,
  }),
})
