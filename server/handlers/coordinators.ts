/**
 * FindCoordinator 0-6: the relay coordinates every group, every transactional id, and what share groups know of each
 * partition, itself. Versions up to 3 ask for one key, later ones for many.
 */
import { ErrorCode } from '../../protocol/errors.ts'
import { findCoordinator } from '../../protocol/messages/coordinators.ts'
import { entry, type RequestContext } from '../handler.ts'
import { BROKER_ID } from '../services.ts'

const KEY_TYPE_GROUP = 0
const KEY_TYPE_TRANSACTION = 1
const KEY_TYPE_SHARE = 2
/** `GROUP:TOPIC ID:PARTITION`; a group's name may hold colons. */
const SHARE_KEY = /^(.+):[A-Za-z0-9_-]{22}:\d{1,10}$/s

export const findCoordinatorHandler = entry(findCoordinator, 'each', (request, context) => {
  if (context.apiVersion < 4) return coordinatorOf(request.keyType, request.key, context)
  return { coordinators: request.coordinatorKeys.map((key) => coordinatorOf(request.keyType, key, context)) }
})

function coordinatorOf(keyType: number, key: string, context: RequestContext) {
  const refused = (errorCode: number, errorMessage: string) => ({
    ...{ key, errorCode, errorMessage },
    ...{ nodeId: -1, host: '', port: -1 },
  })
  if (keyType < KEY_TYPE_GROUP || keyType > KEY_TYPE_SHARE)
    return refused(ErrorCode.INVALID_REQUEST, `coordinators of key type ${keyType} are not supported`)
  const groupId = keyType === KEY_TYPE_SHARE ? SHARE_KEY.exec(key)?.[1] : key
  if (groupId === undefined) return refused(ErrorCode.INVALID_REQUEST, 'a share key is GROUP:TOPIC ID:PARTITION')
  if (keyType !== KEY_TYPE_TRANSACTION && !context.allows('describe', { type: 'group', name: groupId }))
    return refused(ErrorCode.GROUP_AUTHORIZATION_FAILED, `not allowed to look for group ${groupId}`)
  if (keyType === KEY_TYPE_TRANSACTION && !context.allows('describe', { type: 'transactional-id', name: key }))
    return refused(ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED, `not allowed to look for transactional id ${key}`)
  return { key, errorCode: ErrorCode.NONE, errorMessage: null, nodeId: BROKER_ID, ...context.connection.advertised }
}
