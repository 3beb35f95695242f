/**
 * What an answer to Produce means for a batch. Every error code of Kafka falls into one of these; the table is the whole
 * policy, so that it can be read and argued about in one place.
 */
import { ErrorCode, errorName, isRetriableCode } from '../../protocol/errors.ts'
import type { ErrorInfo } from '../errors.ts'
import { type RelayErrorCode, relayError } from '../relay-errors.ts'
import { outboxError } from './errors.ts'

export type Verdict =
  /** In the log, at the offset given. */
  | 'done'
  /** In the log, the relay no longer knows where. */
  | 'done-somewhere'
  /** Not in the log now; the same bytes may be taken later. */
  | 'retry'
  /** The same, after asking for the topic again: it moved, or is gone, or was made anew. */
  | 'retry-elsewhere'
  /** The relay and we disagree about the producer's sequence: ask what it knows before anything else. */
  | 'ask'
  /** Will never be taken, because of the topic or our rights. */
  | 'refused'
  /** Will never be taken as it is, because of some record in it; parts of it may. */
  | 'refused-record'
  /** The relay itself does not know; the same stamp may be sent again some times. */
  | 'doubtful'

const VERDICTS: ReadonlyMap<number, Verdict> = new Map<number, Verdict>([
  [ErrorCode.NONE, 'done'],
  [ErrorCode.DUPLICATE_SEQUENCE_NUMBER, 'done-somewhere'],

  [ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER, 'ask'],
  [ErrorCode.UNKNOWN_PRODUCER_ID, 'ask'],
  [ErrorCode.INVALID_PRODUCER_EPOCH, 'ask'],
  [ErrorCode.INVALID_PRODUCER_ID_MAPPING, 'ask'],
  [ErrorCode.PRODUCER_FENCED, 'ask'],
  [ErrorCode.INVALID_TXN_STATE, 'ask'],

  [ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, 'retry-elsewhere'],
  [ErrorCode.LEADER_NOT_AVAILABLE, 'retry-elsewhere'],
  [ErrorCode.NOT_LEADER_OR_FOLLOWER, 'retry-elsewhere'],
  [ErrorCode.FENCED_LEADER_EPOCH, 'retry-elsewhere'],
  [ErrorCode.UNKNOWN_LEADER_EPOCH, 'retry-elsewhere'],
  [ErrorCode.UNKNOWN_TOPIC_ID, 'retry-elsewhere'],
  [ErrorCode.INCONSISTENT_TOPIC_ID, 'retry-elsewhere'],

  [ErrorCode.MESSAGE_TOO_LARGE, 'refused-record'],
  [ErrorCode.RECORD_LIST_TOO_LARGE, 'refused-record'],
  [ErrorCode.INVALID_RECORD, 'refused-record'],
  [ErrorCode.INVALID_TIMESTAMP, 'refused-record'],
  [ErrorCode.UNSUPPORTED_COMPRESSION_TYPE, 'refused-record'],
  [ErrorCode.UNSUPPORTED_FOR_MESSAGE_FORMAT, 'refused-record'],
  [ErrorCode.POLICY_VIOLATION, 'refused-record'],

  [ErrorCode.INVALID_TOPIC_EXCEPTION, 'refused'],
  [ErrorCode.INVALID_REQUIRED_ACKS, 'refused'],
  [ErrorCode.TOPIC_AUTHORIZATION_FAILED, 'refused'],
  [ErrorCode.CLUSTER_AUTHORIZATION_FAILED, 'refused'],
  [ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED, 'refused'],
  [ErrorCode.UNSUPPORTED_VERSION, 'refused'],
  [ErrorCode.INVALID_REQUEST, 'refused'],
  [ErrorCode.INVALID_PARTITIONS, 'refused'],

  // Appended, but not yet on enough replicas: the same stamp is answered once it is.
  [20, 'retry'],
])

/** Codes that this table does not know: those that Kafka calls retriable are, the others leave the outcome open. */
export function verdictOn(errorCode: number): Verdict {
  return VERDICTS.get(errorCode) ?? (isRetriableCode(errorCode) ? 'retry' : 'doubtful')
}

const CODE_OF_REFUSAL: ReadonlyMap<number, RelayErrorCode> = new Map<number, RelayErrorCode>([
  [ErrorCode.MESSAGE_TOO_LARGE, 'TOO_LARGE'],
  [ErrorCode.RECORD_LIST_TOO_LARGE, 'TOO_LARGE'],
  [ErrorCode.TOPIC_AUTHORIZATION_FAILED, 'NOT_AUTHORIZED'],
  [ErrorCode.CLUSTER_AUTHORIZATION_FAILED, 'NOT_AUTHORIZED'],
  [ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED, 'NOT_AUTHORIZED'],
])

export interface Target {
  topic: string
  partition: number
}

export function refusalError({ topic, partition }: Target, errorCode: number, text: string | null): ErrorInfo {
  const why = text ? `${errorName(errorCode)}: ${text}` : errorName(errorCode)
  const detail = { message: `the relay refused a write to ${topic}-${partition} (${why})`, kafkaCode: errorCode }
  const code = CODE_OF_REFUSAL.get(errorCode)
  return (code ? relayError(code, detail) : outboxError('REJECTED', detail)).toInfo()
}

export function unknownOutcome({ topic, partition }: Target, why: string): ErrorInfo {
  return outboxError('OUTCOME_UNKNOWN', {
    message: `whether a write to ${topic}-${partition} is in the log cannot be told: ${why}`,
  }).toInfo()
}
