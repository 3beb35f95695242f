/**
 * One line of an access control list, in Kafka's words (KIP-11, KIP-290) and by Kafka's codes: who may, or may not, do what
 * with which resource, from where.
 */
export const ResourceCode = { any: 1, topic: 2, group: 3, cluster: 4, transactionalId: 5, token: 6, user: 7 } as const
/** `match`, of filters only: all that a name falls under. */
export const PatternCode = { any: 1, match: 2, literal: 3, prefixed: 4 } as const
export const OperationCode = {
  any: 1,
  all: 2,
  read: 3,
  write: 4,
  create: 5,
  delete: 6,
  alter: 7,
  describe: 8,
  clusterAction: 9,
  describeConfigs: 10,
  alterConfigs: 11,
  idempotentWrite: 12,
  createTokens: 13,
  describeTokens: 14,
  twoPhaseCommit: 15,
} as const
export const PermissionCode = { any: 1, deny: 2, allow: 3 } as const

/** The one name that a cluster has. */
export const CLUSTER_NAME = 'kafka-cluster'
export const ANY_NAME = '*'
export const ANY_USER = 'User:*'
export const ANY_HOST = '*'

export interface Acl {
  resourceType: number
  resourceName: string
  patternType: number
  /** `User:name`, or ANY_USER. */
  principal: string
  host: string
  operation: number
  permissionType: number
}

/** A null or ANY field says nothing. */
export interface AclFilter {
  resourceTypeFilter: number
  resourceNameFilter: string | null
  patternTypeFilter: number
  principalFilter: string | null
  hostFilter: string | null
  operation: number
  permissionType: number
}

const NAME_LENGTH_MAX = 32_767
const isCodeOf = (codes: Readonly<Record<string, number>>, code: number) => Object.values(codes).includes(code)

/** What is wrong with a line, or undefined. */
export function faultOf(acl: Acl): string | undefined {
  const { resourceType, resourceName, patternType, principal, host, operation, permissionType } = acl
  if (resourceType === ResourceCode.any || !isCodeOf(ResourceCode, resourceType)) return `resource type ${resourceType}`
  if (resourceName === '' || resourceName.length > NAME_LENGTH_MAX) return 'an empty or endless resource name'
  if (resourceType === ResourceCode.cluster && resourceName !== CLUSTER_NAME)
    return `cluster '${resourceName}'; its name is ${CLUSTER_NAME}`
  if (patternType !== PatternCode.literal && patternType !== PatternCode.prefixed) return `pattern type ${patternType}`
  if (!/^\w+:./s.test(principal) || principal.length > NAME_LENGTH_MAX) return `principal '${principal}'; use User:NAME`
  if (host === '' || host.length > NAME_LENGTH_MAX) return 'an empty or endless host'
  if (operation === OperationCode.any || !isCodeOf(OperationCode, operation)) return `operation ${operation}`
  if (permissionType !== PermissionCode.allow && permissionType !== PermissionCode.deny)
    return `permission ${permissionType}`
  return undefined
}

/** What is wrong with a filter, or undefined. */
export function faultOfFilter({ resourceTypeFilter, patternTypeFilter, operation, permissionType }: AclFilter) {
  if (!isCodeOf(ResourceCode, resourceTypeFilter)) return `resource type ${resourceTypeFilter}`
  if (!isCodeOf(PatternCode, patternTypeFilter)) return `pattern type ${patternTypeFilter}`
  if (!isCodeOf(OperationCode, operation)) return `operation ${operation}`
  if (!isCodeOf(PermissionCode, permissionType)) return `permission ${permissionType}`
  return undefined
}

export function isMeant(acl: Acl, filter: AclFilter): boolean {
  const isCode = (wanted: number, code: number) => wanted === 1 || wanted === code
  const isText = (wanted: string | null, text: string) => wanted === null || wanted === text
  return (
    isCode(filter.resourceTypeFilter, acl.resourceType) &&
    isCode(filter.operation, acl.operation) &&
    isCode(filter.permissionType, acl.permissionType) &&
    isText(filter.principalFilter, acl.principal) &&
    isText(filter.hostFilter, acl.host) &&
    isMeantResource(acl, filter)
  )
}

function isMeantResource(acl: Acl, { patternTypeFilter: pattern, resourceNameFilter: name }: AclFilter): boolean {
  if (pattern !== PatternCode.match)
    return (pattern === PatternCode.any || pattern === acl.patternType) && (name === null || name === acl.resourceName)
  if (name === null) return true
  if (acl.patternType === PatternCode.prefixed) return name.startsWith(acl.resourceName)
  return acl.resourceName === name || acl.resourceName === ANY_NAME
}
