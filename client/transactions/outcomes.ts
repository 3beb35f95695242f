/** What an application is told when a transaction does not come about. */
import type { OttlaError } from '../errors.ts'
import { groupError } from '../group/errors.ts'
import { kafkaFailure } from '../kafka-failure.ts'
import { outboxError } from '../outbox/errors.ts'
import { relayError } from '../relay-errors.ts'
import { TransactionRefusal } from './calls.ts'
import { transactionError } from './errors.ts'
import { isFenced, isNotAuthorized, reactionTo } from './reactions.ts'

/** As an error of ours: a refusal by what it means, anything else as it is. */
export function failureOf(thrown: unknown, transactionalId: string): unknown {
  if (!(thrown instanceof TransactionRefusal)) return thrown
  const { kafkaCode, message } = thrown
  if (isFenced(kafkaCode)) return fencedError(transactionalId, kafkaCode)
  if (isNotAuthorized(kafkaCode)) return relayError('NOT_AUTHORIZED', { message, kafkaCode })
  if (reactionTo(kafkaCode) === 'never') return kafkaFailure(kafkaCode, message)
  return transactionError('TRANSACTION_ABORTED', { message: `the transaction was given up: ${message}`, kafkaCode })
}

export function fencedError(transactionalId: string, kafkaCode: number): OttlaError {
  return groupError('FENCED', {
    message: `another producer has taken the transactional id ${transactionalId}, or a transaction of it was open for too long`,
    hint: 'give each process a transactionalId of its own; init() takes the id again',
    kafkaCode,
  })
}

export function timedOut(timeoutMs: number, kafkaCode?: number): OttlaError {
  return transactionError('TRANSACTION_ABORTED', {
    message: `the transaction was open for longer than its timeout of ${timeoutMs} ms, and was aborted`,
    hint: 'nothing of it has happened; do less in one transaction, or raise timeoutMs. init() takes the id again',
    retriable: false,
    ...(kafkaCode === undefined ? {} : { kafkaCode }),
  })
}

export function unknownOutcome(transactionalId: string, why: string): OttlaError {
  return outboxError('OUTCOME_UNKNOWN', {
    message: `whether the transaction of ${transactionalId} was committed cannot be told: ${why}`,
    hint: "a group's committed offsets tell what was done; init() ends whatever is open, and takes the id again",
  })
}
