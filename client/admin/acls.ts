/** Access control lists: who may do what with which resources. */
import { type AdminDriver, type AdminOptions, verdict } from './driver.ts'
import { type PerEntry, perEntry } from './outcomes.ts'

const RESOURCES = {
  any: 1,
  topic: 2,
  group: 3,
  cluster: 4,
  'transactional-id': 5,
  'delegation-token': 6,
  user: 7,
} as const
/** 'match': what a filter's name falls under, literal or by prefix. */
const PATTERNS = { any: 1, match: 2, literal: 3, prefixed: 4 } as const
const OPERATIONS = {
  any: 1,
  all: 2,
  read: 3,
  write: 4,
  create: 5,
  delete: 6,
  alter: 7,
  describe: 8,
  'cluster-action': 9,
  'describe-configs': 10,
  'alter-configs': 11,
  'idempotent-write': 12,
  'create-tokens': 13,
  'describe-tokens': 14,
  'two-phase-commit': 15,
} as const
const PERMISSIONS = { any: 1, deny: 2, allow: 3 } as const

type Not<T, Word> = Exclude<keyof T, Word>

export interface AclBinding {
  resourceType: Not<typeof RESOURCES, 'any'>
  resourceName: string
  /** Default 'literal'; the name '*' then stands for all. */
  patternType?: Not<typeof PATTERNS, 'any' | 'match'>
  /** Such as `User:ada`; `User:*` is everybody. */
  principal: string
  /** Default '*': from anywhere. */
  host?: string
  operation: Not<typeof OPERATIONS, 'any'>
  permission: Not<typeof PERMISSIONS, 'any'>
}

/** What is left out matches everything. */
export interface AclFilter {
  resourceType?: keyof typeof RESOURCES
  resourceName?: string
  patternType?: keyof typeof PATTERNS
  principal?: string
  host?: string
  operation?: keyof typeof OPERATIONS
  permission?: keyof typeof PERMISSIONS
}

/** Rejects RELAY with kafkaCode 54 where no lists are kept. */
export function describeAcls(
  driver: AdminDriver,
  filter: AclFilter = {},
  options: AdminOptions = {},
): Promise<AclBinding[]> {
  return driver.run(options).one('any', 'listing access rights', async (ask) => {
    const answer = await ask('DescribeAcls', filterFields(filter))
    return verdict(answer, ({ resources }) =>
      resources.flatMap(({ acls, ...resource }) => acls.map((acl) => binding({ ...resource, ...acl }))),
    )
  })
}

export function createAcls(
  driver: AdminDriver,
  bindings: readonly AclBinding[],
  options: AdminOptions = {},
): PerEntry<AclBinding, AclBinding> {
  return driver.run(options).each<AclBinding, AclBinding>({
    entries: bindings,
    where: () => 'controller',
    doing: ({ principal, operation, resourceType, resourceName }) =>
      `giving ${principal} the right to ${operation} ${resourceType} ${resourceName}`,
    isChange: true,
    async ask(entries, ask) {
      const creations = entries.map((entry) => ({
        resourceType: RESOURCES[entry.resourceType],
        resourceName: entry.resourceName,
        resourcePatternType: PATTERNS[entry.patternType ?? 'literal'],
        principal: entry.principal,
        host: entry.host ?? '*',
        operation: OPERATIONS[entry.operation],
        permissionType: PERMISSIONS[entry.permission],
      }))
      const { results } = await ask('CreateAcls', { creations })
      return entries.map((entry, index) => verdict(results[index], () => entry))
    },
  })
}

export interface DeletedAcls {
  filter: AclFilter
  deleted: AclBinding[]
}

/** Awaited, what was removed; `settled()` gives it filter by filter. */
export function deleteAcls(
  driver: AdminDriver,
  filters: readonly AclFilter[],
  options: AdminOptions = {},
): PerEntry<AclFilter, DeletedAcls, AclBinding[]> {
  const each = driver.run(options).each<AclFilter, DeletedAcls>({
    entries: filters,
    where: () => 'controller',
    doing: (filter) => `removing the access rights ${JSON.stringify(filter)}`,
    isChange: true,
    async ask(entries, ask) {
      const { filterResults } = await ask('DeleteAcls', { filters: entries.map(filterFields) })
      return entries.map((filter, index) => {
        const result = filterResults[index]
        const failed = result?.matchingAcls.find(({ errorCode }) => errorCode !== 0)
        return verdict(failed ?? result, () => ({ filter, deleted: (result?.matchingAcls ?? []).map(binding) }))
      })
    },
  })
  return perEntry(each.settled(), (all) => all.flatMap(({ deleted }) => deleted))
}

function filterFields(filter: AclFilter) {
  return {
    resourceTypeFilter: RESOURCES[filter.resourceType ?? 'any'],
    resourceNameFilter: filter.resourceName ?? null,
    patternTypeFilter: PATTERNS[filter.patternType ?? 'any'],
    principalFilter: filter.principal ?? null,
    hostFilter: filter.host ?? null,
    operation: OPERATIONS[filter.operation ?? 'any'],
    permissionType: PERMISSIONS[filter.permission ?? 'any'],
  }
}

interface AclFields {
  resourceType: number
  resourceName: string
  patternType: number
  principal: string
  host: string
  operation: number
  permissionType: number
}

function binding({ resourceType, resourceName, patternType, principal, host, ...acl }: AclFields): AclBinding {
  return {
    resourceType: wordFor(RESOURCES, resourceType) as AclBinding['resourceType'],
    resourceName,
    patternType: wordFor(PATTERNS, patternType) as AclBinding['patternType'],
    principal,
    host,
    operation: wordFor(OPERATIONS, acl.operation) as AclBinding['operation'],
    permission: wordFor(PERMISSIONS, acl.permissionType) as AclBinding['permission'],
  }
}

/** A number of a later Kafka's is told as it is. */
function wordFor(words: Readonly<Record<string, number>>, code: number): string {
  return Object.keys(words).find((word) => words[word] === code) ?? `unknown (${code})`
}
