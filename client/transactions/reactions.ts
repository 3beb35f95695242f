/** What a refusal means for a transaction (KIP-1050): the whole policy, in one place. */

/**
 * again: it is given up and may be made anew. fenced: the same, under an identity that must be taken anew. never: it would
 * be refused every time.
 */
export type Reaction = 'again' | 'fenced' | 'never'

const TRANSACTIONAL_ID_AUTHORIZATION_FAILED = 53
const GROUP_AUTHORIZATION_FAILED = 30
const TOPIC_AUTHORIZATION_FAILED = 29
const CLUSTER_AUTHORIZATION_FAILED = 31

const NOT_AUTHORIZED: ReadonlySet<number> = new Set([
  TOPIC_AUTHORIZATION_FAILED,
  GROUP_AUTHORIZATION_FAILED,
  CLUSTER_AUTHORIZATION_FAILED,
  TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
])

export const INVALID_PRODUCER_EPOCH = 47
export const INVALID_TXN_STATE = 48
export const INVALID_PRODUCER_ID_MAPPING = 49
export const INVALID_TRANSACTION_TIMEOUT = 50
export const CONCURRENT_TRANSACTIONS = 51
export const UNKNOWN_PRODUCER_ID = 59
export const PRODUCER_FENCED = 90
export const TRANSACTION_ABORTABLE = 120
const OUT_OF_ORDER_SEQUENCE_NUMBER = 45
const DUPLICATE_SEQUENCE_NUMBER = 46

/** Somebody else has the id, or the coordinator has ended the transaction because its time was up. */
const FENCED: ReadonlySet<number> = new Set([INVALID_PRODUCER_EPOCH, INVALID_PRODUCER_ID_MAPPING, PRODUCER_FENCED])

/** The log and we disagree about what has been written: only a new epoch makes that good. */
const OUT_OF_STEP: ReadonlySet<number> = new Set([
  OUT_OF_ORDER_SEQUENCE_NUMBER,
  DUPLICATE_SEQUENCE_NUMBER,
  INVALID_TXN_STATE,
  UNKNOWN_PRODUCER_ID,
])

/**
 * Record too large, list too large, topic name, acks, timestamp, version, partitions, request, format, policy, codec,
 * record: nothing about them changes by itself.
 */
const NEVER: ReadonlySet<number> = new Set([10, 12, 17, 18, 21, 24, 28, 32, 35, 37, 42, 43, 44, 50, 76, 87])

export const isNotAuthorized = (kafkaCode: number): boolean => NOT_AUTHORIZED.has(kafkaCode)
export const isFenced = (kafkaCode: number): boolean => FENCED.has(kafkaCode)

export function reactionTo(kafkaCode: number): Reaction {
  if (isFenced(kafkaCode) || OUT_OF_STEP.has(kafkaCode)) return 'fenced'
  if (isNotAuthorized(kafkaCode) || NEVER.has(kafkaCode)) return 'never'
  return 'again'
}
