/** What every request about a group is asked first: is this a group's name, and may this client do this to it? */
import { ErrorCode } from '../../protocol/errors.ts'
import type { Operation } from '../authorizer.ts'
import type { RequestContext } from '../handler.ts'

/** What a string can have in Kafka's own encoding of old. */
const GROUP_ID_LENGTH_MAX = 32_767

/** NONE, INVALID_GROUP_ID or GROUP_AUTHORIZATION_FAILED. */
export function groupError(context: RequestContext, operation: Operation, groupId: string): number {
  if (groupId === '' || groupId.length > GROUP_ID_LENGTH_MAX) return ErrorCode.INVALID_GROUP_ID
  return context.allows(operation, { type: 'group', name: groupId })
    ? ErrorCode.NONE
    : ErrorCode.GROUP_AUTHORIZATION_FAILED
}
