/** `ottla acl …`: who may do what, where lists are kept. */

import type { AclBinding, AclFilter } from '../client/node.ts'
import { EXIT_FAILURE, EXIT_OK, type Invocation, listFlag, switchFlag, textFlag, UsageError } from './command.ts'
import { table } from './output.ts'
import { withRelay } from './relay-connection.ts'

type Operation = AclBinding['operation']

export async function listAcls(invocation: Invocation): Promise<number> {
  const { output } = invocation
  const [principal] = principalsIn(invocation)
  const found = { ...resourceFilter(invocation), ...(principal !== undefined && { principal }) }
  const acls = await withRelay(invocation, ({ admin }) => admin.describeAcls(found))
  if (!invocation.json && acls.length === 0) output.note('No access rights match.')
  else await show(invocation, acls)
  return EXIT_OK
}

export async function addAcls(invocation: Invocation): Promise<number> {
  const bindings = bindingsIn(invocation)
  const created = await withRelay(invocation, ({ admin }) => admin.createAcls(bindings))
  await show(invocation, created)
  return EXIT_OK
}

export async function removeAcls(invocation: Invocation): Promise<number> {
  const filters = filtersIn(invocation)
  const removed = await withRelay(invocation, ({ admin }) => admin.deleteAcls(filters))
  if (removed.length > 0 || invocation.json) await show(invocation, removed)
  if (removed.length === 0) invocation.output.note('No access rights match; nothing was removed.')
  return removed.length > 0 ? EXIT_OK : EXIT_FAILURE
}

async function show({ output, json }: Invocation, acls: readonly AclBinding[]): Promise<void> {
  if (json) return output.json(acls)
  const rows = acls.map((acl) => [
    ...[acl.principal, acl.permission, acl.operation, acl.resourceType, acl.resourceName],
    ...[acl.patternType ?? 'literal', acl.host ?? '*'],
  ])
  await output.write(table(['PRINCIPAL', 'PERMISSION', 'OPERATION', 'RESOURCE', 'NAME', 'PATTERN', 'HOST'], rows))
}

type Resource = Pick<AclBinding, 'resourceType' | 'resourceName'>

/** The one resource that the flags name, if any. */
function resourceIn(invocation: Invocation): Resource | undefined {
  const named: Resource[] = []
  for (const resourceType of ['topic', 'group', 'transactional-id'] as const) {
    const resourceName = textFlag(invocation, resourceType)
    if (resourceName !== undefined) named.push({ resourceType, resourceName })
  }
  if (switchFlag(invocation, 'cluster')) named.push({ resourceType: 'cluster', resourceName: 'kafka-cluster' })
  if (named.length > 1) throw new UsageError('say one of --topic, --group, --transactional-id and --cluster')
  return named[0]
}

function resourceFilter(invocation: Invocation): AclFilter {
  const resource = resourceIn(invocation)
  return resource ? { ...resource, patternType: 'match' } : {}
}

/** `ada` is `User:ada`. */
function principalsIn(invocation: Invocation): string[] {
  const named = [...listFlag(invocation, 'principal')]
  return named.map((name) => (name.includes(':') ? name : `User:${name}`))
}

const OPERATIONS: readonly Operation[] = [
  ...(['all', 'read', 'write', 'create', 'delete', 'alter', 'describe', 'cluster-action'] as const),
  ...(['describe-configs', 'alter-configs', 'idempotent-write'] as const),
]

function operationsIn(invocation: Invocation): Operation[] {
  return listFlag(invocation, 'operation').map((name) => {
    const found = OPERATIONS.find((each) => each === name.toLowerCase())
    if (!found) throw new UsageError(`--operation: '${name}' is not allowed; use ${OPERATIONS.join(', ')}`)
    return found
  })
}

function pattern(invocation: Invocation): 'literal' | 'prefixed' {
  return switchFlag(invocation, 'prefixed') ? 'prefixed' : 'literal'
}

function permission(invocation: Invocation): 'deny' | 'allow' {
  return switchFlag(invocation, 'deny') ? 'deny' : 'allow'
}

function bindingsIn(invocation: Invocation): AclBinding[] {
  const resource = resourceIn(invocation)
  const [principals, operations] = [principalsIn(invocation), operationsIn(invocation)]
  if (!resource) throw new UsageError('on what? Give --topic, --group, --transactional-id or --cluster')
  if (principals.length === 0) throw new UsageError('who? Give --principal')
  if (operations.length === 0) throw new UsageError('what? Give --operation')
  const hosts = listFlag(invocation, 'host')
  return principals.flatMap((principal) =>
    operations.flatMap((operation) =>
      (hosts.length > 0 ? hosts : ['*']).map((host) => ({
        ...{ ...resource, patternType: pattern(invocation), principal, host, operation },
        permission: permission(invocation),
      })),
    ),
  )
}

/** As narrow as what was said: all lines of a principal, all on a topic, or the very ones that `add` made. */
function filtersIn(invocation: Invocation): AclFilter[] {
  const resource = resourceIn(invocation)
  const [principals, operations] = [principalsIn(invocation), operationsIn(invocation)]
  if (!resource && principals.length === 0) throw new UsageError('which? Give --principal, or a resource')
  const isDenying = switchFlag(invocation, 'deny')
  const base: AclFilter = {
    ...(resource && { ...resource, patternType: pattern(invocation) }),
    ...(isDenying && { permission: 'deny' as const }),
  }
  const ofPrincipals = principals.length > 0 ? principals.map((principal) => ({ ...base, principal })) : [base]
  const ofHosts = eachWith(ofPrincipals, 'host', listFlag(invocation, 'host'))
  return eachWith(ofHosts, 'operation', operations)
}

function eachWith<K extends keyof AclFilter>(
  filters: AclFilter[],
  key: K,
  values: readonly AclFilter[K][],
): AclFilter[] {
  return values.length === 0
    ? filters
    : filters.flatMap((filter) => values.map((value) => ({ ...filter, [key]: value })))
}
