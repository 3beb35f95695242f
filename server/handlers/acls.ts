/**
 * DescribeAcls, CreateAcls, DeleteAcls, 1-3 (KIP-11, KIP-140, KIP-290). Where the relay keeps no lists (`access-control`),
 * they answer as a Kafka without an authorizer: SECURITY_DISABLED.
 */
import { ErrorCode, KafkaError } from '../../protocol/errors.ts'
import { createAcls, deleteAcls, describeAcls } from '../../protocol/messages/acls.ts'
import { type Acl, faultOf, faultOfFilter } from '../acl/acl.ts'
import type { AclLists } from '../acl/acl-lists.ts'
import type { Operation } from '../authorizer.ts'
import { entry, type RequestContext } from '../handler.ts'
import { errorFields } from './error-fields.ts'

const DONE = { errorCode: ErrorCode.NONE, errorMessage: null }

/** Throws KafkaError unless there are lists, and the client may. */
function listsFor(operation: Operation, context: RequestContext): AclLists {
  const { acls } = context.services
  if (!acls) throw new KafkaError('SECURITY_DISABLED', 'this relay keeps no access control lists')
  if (!context.allows(operation, { type: 'cluster' }))
    throw new KafkaError('CLUSTER_AUTHORIZATION_FAILED', `not allowed to ${operation} access control lists`)
  return acls
}

function check(fault: string | undefined): void {
  if (fault) throw new KafkaError('INVALID_REQUEST', `there is no ${fault}`)
}

export const describeAclsHandler = entry(describeAcls, 'each', (filter, context) => {
  try {
    const lists = listsFor('describe', context)
    check(faultOfFilter(filter))
    return { ...DONE, resources: byResource(lists.find(filter)) }
  } catch (error) {
    return { ...errorFields(error), resources: [] }
  }
})

function byResource(found: readonly Acl[]) {
  const resources = new Map<string, Pick<Acl, 'resourceType' | 'resourceName' | 'patternType'> & { acls: Acl[] }>()
  for (const acl of found) {
    const { resourceType, resourceName, patternType } = acl
    const key = `${resourceType}/${patternType}/${resourceName}`
    const resource = resources.get(key) ?? { resourceType, resourceName, patternType, acls: [] }
    resource.acls.push(acl)
    resources.set(key, resource)
  }
  return [...resources.values()]
}

export const createAclsHandler = entry(createAcls, 'each', async ({ creations }, context) => ({
  results: await Promise.all(
    creations.map(async ({ resourcePatternType: patternType, ...fields }) => {
      try {
        const lists = listsFor('alter', context)
        const acl: Acl = { ...fields, patternType }
        check(faultOf(acl))
        await lists.add(acl)
        return DONE
      } catch (error) {
        return errorFields(error)
      }
    }),
  ),
}))

export const deleteAclsHandler = entry(deleteAcls, 'each', async ({ filters }, context) => ({
  filterResults: await Promise.all(
    filters.map(async (filter) => {
      try {
        const lists = listsFor('alter', context)
        check(faultOfFilter(filter))
        const removed = await lists.remove(filter)
        return { ...DONE, matchingAcls: removed.map((acl) => ({ ...DONE, ...acl })) }
      } catch (error) {
        return { ...errorFields(error), matchingAcls: [] }
      }
    }),
  ),
}))
