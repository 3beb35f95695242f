/** What every request about a transactional id is asked first, and its refusals as each version of each request puts them. */
import { ErrorCode } from '../../protocol/errors.ts'
import type { Operation } from '../authorizer.ts'
import type { RequestContext } from '../handler.ts'

/** NONE, INVALID_REQUEST or TRANSACTIONAL_ID_AUTHORIZATION_FAILED. */
export function transactionalIdError(context: RequestContext, operation: Operation, transactionalId: string): number {
  if (transactionalId === '') return ErrorCode.INVALID_REQUEST
  return context.allows(operation, { type: 'transactional-id', name: transactionalId })
    ? ErrorCode.NONE
    : ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED
}

/** Versions before `fencedFrom` know only the older word for a producer that was replaced. */
export const fencedSince = (fencedFrom: number, { apiVersion }: RequestContext, errorCode: number): number =>
  errorCode === ErrorCode.PRODUCER_FENCED && apiVersion < fencedFrom ? ErrorCode.INVALID_PRODUCER_EPOCH : errorCode
