/** What every request about a group is asked first: is this a group's name, and may this client do this to it? */
import { ErrorCode, KafkaError } from '../../protocol/errors.ts'
import type { Operation } from '../authorizer.ts'
import type { RequestContext } from '../handler.ts'
import { OPERATIONS_NOT_ASKED_FOR } from './authorized-operations.ts'

/** NONE, INVALID_GROUP_ID or GROUP_AUTHORIZATION_FAILED. */
export function groupError(context: RequestContext, operation: Operation, groupId: string): number {
  if (groupId === '') return ErrorCode.INVALID_GROUP_ID
  return context.allows(operation, { type: 'group', name: groupId })
    ? ErrorCode.NONE
    : ErrorCode.GROUP_AUTHORIZATION_FAILED
}

/** The same, thrown. */
export function checkGroupAccess(context: RequestContext, operation: Operation, groupId: string): void {
  const errorCode = groupError(context, operation, groupId)
  if (errorCode === ErrorCode.NONE) return
  const message =
    errorCode === ErrorCode.INVALID_GROUP_ID
      ? `'${groupId.slice(0, 100)}' cannot be the name of a group`
      : `not allowed to ${operation} group ${groupId}`
  throw new KafkaError(errorCode, message)
}

/** Bits are Kafka's operation codes. */
const OPERATION_BITS: ReadonlyArray<[Operation, number]> = [
  ['read', 3],
  ['delete', 6],
  ['describe', 8],
  ['describe-configs', 10],
  ['alter-configs', 11],
]

/** What the client may do to the group, when it asks. */
export function allowedOperations(groupId: string, context: RequestContext, isAsked: boolean): number {
  if (!isAsked) return OPERATIONS_NOT_ASKED_FOR
  let bits = 0
  for (const [operation, bit] of OPERATION_BITS) {
    if (context.allows(operation, { type: 'group', name: groupId })) bits |= 1 << bit
  }
  return bits
}
