/**
 * DescribeAcls, CreateAcls, DeleteAcls, 1-3. Access is decided by the application that embeds the relay, through its
 * authorizer; there are no lists to look at or change, which Kafka calls security being disabled.
 */
import { ErrorCode } from '../../protocol/errors.ts'
import { createAcls, deleteAcls, describeAcls } from '../../protocol/messages/acls.ts'
import { entry } from '../handler.ts'

const disabled = {
  errorCode: ErrorCode.SECURITY_DISABLED,
  errorMessage: 'this relay keeps no access control lists',
}

export const describeAclsHandler = entry(describeAcls, 'none', () => ({ ...disabled, resources: [] }))

export const createAclsHandler = entry(createAcls, 'none', ({ creations }) => ({
  results: creations.map(() => disabled),
}))

export const deleteAclsHandler = entry(deleteAcls, 'none', ({ filters }) => ({
  filterResults: filters.map(() => ({ ...disabled, matchingAcls: [] })),
}))
