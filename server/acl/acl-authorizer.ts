/**
 * Decides by access control lists, as Kafka does: super users may everything; else one line that denies outweighs all that
 * allow; else one that allows is enough; else nothing is allowed, unless the relay says otherwise of resources that no
 * line speaks of.
 *
 * To be allowed to read, write, delete or alter is to be allowed to describe; to alter settings, to describe them. What is
 * denied implies nothing.
 */
import type { Authorizer, Operation, Principal, Resource } from '../authorizer.ts'
import {
  type Acl,
  ANY_HOST,
  ANY_USER,
  CLUSTER_NAME,
  OperationCode,
  PatternCode,
  PermissionCode,
  ResourceCode,
} from './acl.ts'
import type { AclLists } from './acl-lists.ts'

const RESOURCES: Readonly<Record<Resource['type'], number>> = {
  topic: ResourceCode.topic,
  group: ResourceCode.group,
  'transactional-id': ResourceCode.transactionalId,
  cluster: ResourceCode.cluster,
}

const OPERATIONS: Readonly<Record<Operation, number>> = {
  read: OperationCode.read,
  write: OperationCode.write,
  create: OperationCode.create,
  delete: OperationCode.delete,
  alter: OperationCode.alter,
  describe: OperationCode.describe,
  'describe-configs': OperationCode.describeConfigs,
  'alter-configs': OperationCode.alterConfigs,
  'cluster-action': OperationCode.clusterAction,
  'idempotent-write': OperationCode.idempotentWrite,
}

const { read, write, delete: remove, alter, alterConfigs, all } = OperationCode
const IMPLIED_BY = new Map<number, readonly number[]>([
  [OperationCode.describe, [read, write, remove, alter]],
  [OperationCode.describeConfigs, [alterConfigs]],
])

export interface AclAuthorizerOptions {
  lists: AclLists
  /** With or without `User:` in front. */
  superUsers: readonly string[]
  /** Where no line speaks of a resource. */
  allowsWhatNoLineSpeaksOf: boolean
}

export class AclAuthorizer implements Authorizer {
  readonly #lists: AclLists
  readonly #superUsers: ReadonlySet<string>
  readonly #allowsUnspoken: boolean

  constructor({ lists, superUsers, allowsWhatNoLineSpeaksOf }: AclAuthorizerOptions) {
    this.#lists = lists
    this.#superUsers = new Set(superUsers.map((name) => (name.startsWith('User:') ? name : `User:${name}`)))
    this.#allowsUnspoken = allowsWhatNoLineSpeaksOf
  }

  allows(principal: Principal, operation: Operation, resource: Resource): boolean {
    const user = `User:${principal.name}`
    if (this.#superUsers.has(user)) return true
    const wanted = OPERATIONS[operation]
    let isSpokenOf = false
    let isAllowed = false
    for (const acl of this.#lists.about(RESOURCES[resource.type], nameOf(resource))) {
      isSpokenOf = true
      if (!concerns(acl, user, principal.host)) continue
      if (acl.permissionType === PermissionCode.deny) {
        if (acl.operation === wanted || acl.operation === all) return false
      } else if (allowsBy(acl, wanted)) isAllowed = true
    }
    return isAllowed || (!isSpokenOf && this.#allowsUnspoken)
  }

  /** For at least one resource of the type, whichever. */
  allowsSome(principal: Principal, operation: Operation, type: 'topic'): boolean {
    const user = `User:${principal.name}`
    if (this.#superUsers.has(user) || this.#allowsUnspoken) return true
    const wanted = OPERATIONS[operation]
    for (const acl of this.#lists.ofType(RESOURCES[type])) {
      const isCandidate = acl.permissionType === PermissionCode.allow && concerns(acl, user, principal.host)
      if (isCandidate && allowsBy(acl, wanted) && this.allows(principal, operation, { type, name: someNameOf(acl) }))
        return true
    }
    return false
  }
}

/** The star is asked for as if it were a name; a prefix by a name that begins so and that nobody's line can be about alone. */
const someNameOf = ({ patternType, resourceName }: Acl) =>
  patternType === PatternCode.prefixed ? `${resourceName}\0` : resourceName

const nameOf = (resource: Resource) => (resource.type === 'cluster' ? CLUSTER_NAME : resource.name)

function concerns({ principal, host }: Acl, user: string, from: string): boolean {
  return (principal === user || principal === ANY_USER) && (host === from || host === ANY_HOST)
}

function allowsBy({ operation }: Acl, wanted: number): boolean {
  return operation === wanted || operation === all || (IMPLIED_BY.get(wanted)?.includes(operation) ?? false)
}
