/**
 * What became of records in a group: told by its members, asked for by whoever sent them. A part of the offset protocol
 * (docs/PROTOCOL.md).
 */
import { api } from '../api.ts'
import { array, type Infer, int8, int16, int32, int64, nullable, string, struct, uuid, withDefault } from '../schema.ts'
import { push } from './offset-protocol.ts'

/** What a member did with records that it did not finish. */
export const FailedHow = { deadLettered: 0, skipped: 1 } as const

/** The member did not finish these records, and reads on behind them. */
const failedRange = {
  from: int64(),
  /** The offset behind the last of them. */
  to: int64(),
  /** 0: written to a dead-letter topic. 1: left out. */
  how: int8(),
  reason: string(),
  /** Where the dead letter is; partition and offset -1 when there is none. */
  deadTopic: string(),
  deadPartition: int32(),
  deadOffset: int64(),
}

/**
 * What is known of a group's work on one partition: records from `knownFrom` up to `committed` were handled, but for the
 * failed ones. Of those below nothing is known, those above are still to come.
 */
const progressFields = {
  /** -1: nothing is committed; in a push, nothing new. */
  committed: withDefault(-1, int64()),
  /** The same. */
  knownFrom: withDefault(-1, int64()),
  failed: withDefault([], array(struct(failedRange))),
}

const groupPartition = { groupId: string(), topicId: uuid(), partition: int32() }

/** Asks to be told, by `Progress`, how far groups come with partitions. Watching one again tells its state anew. */
export const watchProgress = api({
  key: 20005,
  name: 'WatchProgress',
  versions: [0, 0],
  flexibleFrom: 0,
  request: struct({
    watches: array(
      struct({
        ...groupPartition,
        /** Failed records below are of no interest. */
        fromOffset: int64(),
      }),
    ),
  }),
  response: struct({
    throttleTimeMs: withDefault(0, int32()),
    watches: array(struct({ ...groupPartition, errorCode: int16(), ...progressFields })),
  }),
})

export const unwatchProgress = api({
  key: 20006,
  name: 'UnwatchProgress',
  versions: [0, 0],
  flexibleFrom: 0,
  request: struct({ watches: array(struct(groupPartition)) }),
  response: struct({ errorCode: int16() }),
})

/** A member tells, before it commits past them, which records it did not finish. By the same claim as a commit. */
export const reportFailed = api({
  key: 20007,
  name: 'ReportFailed',
  versions: [0, 0],
  flexibleFrom: 0,
  request: struct({
    groupId: string(),
    memberId: string(),
    groupInstanceId: nullable(string()),
    generationIdOrMemberEpoch: int32(),
    partitions: array(struct({ topicId: uuid(), partition: int32(), failed: array(struct(failedRange)) })),
  }),
  response: struct({ throttleTimeMs: withDefault(0, int32()), errorCode: int16() }),
})

const progressBody = struct({ ...groupPartition, errorCode: int16(), ...progressFields })
/** A watched group has come on with a partition, or (with an error code) is watched no more. `failed` has what is new. */
export const progress = push(20014, 'Progress', progressBody)

export type Progress = Infer<typeof progressBody>
export type FailedRange = Progress['failed'][number]
