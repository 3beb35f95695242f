/** What the lists decide, beside an oracle that looks at every line each time. */
import { expect, test } from 'vitest'
import { randomBelow, seededRandom } from '../../../protocol/lib/random.ts'
import { type Acl, OperationCode, PatternCode, PermissionCode, ResourceCode } from '../../../server/acl/acl.ts'
import { AclAuthorizer } from '../../../server/acl/acl-authorizer.ts'
import { AclLists } from '../../../server/acl/acl-lists.ts'
import type { Operation, Principal, Resource } from '../../../server/authorizer.ts'
import type { Facts } from '../../../server/engine.ts'

class MemoryFacts implements Facts {
  readonly held = new Map<string, unknown>()
  get = (key: string) => this.held.get(key)
  entries = (prefix: string) => [...this.held].filter(([key]) => key.startsWith(prefix))
  async put(key: string, value: unknown) {
    if (value === null) this.held.delete(key)
    else this.held.set(key, value)
  }
}

const CODES: Record<Operation, number> = {
  ...{ read: 3, write: 4, create: 5, delete: 6, alter: 7, describe: 8 },
  ...{ 'cluster-action': 9, 'describe-configs': 10, 'alter-configs': 11, 'idempotent-write': 12 },
}
const TYPES: Record<Resource['type'], number> = { topic: 2, group: 3, cluster: 4, 'transactional-id': 5 }
const OPERATIONS = Object.keys(CODES) as Operation[]
const NAMES = ['a', 'ab', 'abc', 'b', 'ba', '*', 'kafka-cluster']
const USERS = ['ada', 'bob', 'root']
const HOSTS = ['10.0.0.1', '10.0.0.2']

/** Kafka's rules, word for word and line by line. */
function oracle(
  lines: readonly Acl[],
  who: Principal,
  operation: Operation,
  resource: Resource,
  open: boolean,
): boolean {
  if (who.name === 'root') return true
  const name = resource.type === 'cluster' ? 'kafka-cluster' : resource.name
  const speaking = lines.filter(
    (line) =>
      line.resourceType === TYPES[resource.type] &&
      (line.patternType === PatternCode.prefixed
        ? name.startsWith(line.resourceName)
        : line.resourceName === name || line.resourceName === '*'),
  )
  const mine = speaking.filter(
    ({ principal, host }) => [`User:${who.name}`, 'User:*'].includes(principal) && [who.host, '*'].includes(host),
  )
  const enough = [OperationCode.all as number, CODES[operation]]
  if (mine.some((line) => line.permissionType === PermissionCode.deny && enough.includes(line.operation))) return false
  if (operation === 'describe') enough.push(CODES.read, CODES.write, CODES.delete, CODES.alter)
  if (operation === 'describe-configs') enough.push(CODES['alter-configs'])
  if (mine.some((line) => line.permissionType === PermissionCode.allow && enough.includes(line.operation))) return true
  return open && speaking.length === 0
}

test('[ACL-1] a hundred thousand decisions are those of an oracle that looks at every line', async () => {
  const random = seededRandom(20_261_126)
  const pick = <T>(from: readonly T[]): T => from[randomBelow(random, from.length)]!
  const typeOf = Object.keys(TYPES) as Array<Resource['type']>
  let allowed = 0
  let some = 0
  for (let world = 0; world < 500; world++) {
    const facts = new MemoryFacts()
    const lists = new AclLists(facts)
    const open = random.next() < 0.3
    const held: Acl[] = []
    for (let count = randomBelow(random, 12); count > 0; count--) {
      const line: Acl = {
        resourceType: TYPES[pick(typeOf)],
        resourceName: pick(NAMES),
        patternType: random.next() < 0.6 ? PatternCode.literal : PatternCode.prefixed,
        principal: random.next() < 0.2 ? 'User:*' : `User:${pick(USERS)}`,
        host: random.next() < 0.6 ? '*' : pick(HOSTS),
        operation: random.next() < 0.2 ? OperationCode.all : CODES[pick(OPERATIONS)],
        permissionType: random.next() < 0.7 ? PermissionCode.allow : PermissionCode.deny,
      }
      await lists.add(line)
      held.push(line)
      if (random.next() < 0.2) {
        const { resourceType, resourceName, patternType } = held.splice(randomBelow(random, held.length), 1)[0]!
        const filter = { ...EVERYTHING, resourceTypeFilter: resourceType, resourceNameFilter: resourceName }
        for (const gone of await lists.remove({ ...filter, patternTypeFilter: patternType }))
          for (const [index, each] of [...held.entries()].reverse())
            if (JSON.stringify(each) === JSON.stringify(gone)) held.splice(index, 1)
      }
    }
    // As after a restart.
    const again = world % 2 ? lists : new AclLists(facts)
    const authorizer = new AclAuthorizer({ lists: again, superUsers: ['User:root'], allowsWhatNoLineSpeaksOf: open })
    for (let asked = 0; asked < 200; asked++) {
      const who: Principal = { name: pick(USERS), clientId: null, host: pick(HOSTS) }
      const operation = pick(OPERATIONS)
      const type = pick(typeOf)
      const resource: Resource = type === 'cluster' ? { type } : { type, name: pick(NAMES) }
      const decided = authorizer.allows(who, operation, resource)
      if (decided !== oracle(held, who, operation, resource, open))
        expect.fail(`${decided}: ${JSON.stringify({ held, who, operation, resource, open })}`)
      if (decided) allowed++
    }
    // Somewhere: where it may at a name of the lists, or one that nobody thought of.
    for (const name of USERS) {
      const who: Principal = { name, clientId: null, host: pick(HOSTS) }
      const mayAt = (topic: string) => authorizer.allows(who, 'write', { type: 'topic', name: topic })
      if (![...NAMES, ...NAMES.map((begun) => `${begun}~`)].some(mayAt)) continue
      some++
      expect(authorizer.allowsSome(who, 'write', 'topic')).toBe(true)
    }
  }
  expect(allowed).toBeGreaterThan(20_000)
  expect(some).toBeGreaterThan(400)
})

test('[ACL-1] who may write to all that begins so may write somewhere, also where one name is denied', async () => {
  const lists = new AclLists(new MemoryFacts())
  const authorizer = new AclAuthorizer({ lists, superUsers: [], allowsWhatNoLineSpeaksOf: false })
  const line = { resourceType: ResourceCode.topic, resourceName: 'logs', principal: 'User:ada', host: '*' }
  const ada: Principal = { name: 'ada', clientId: null, host: '10.0.0.1' }
  const { write } = OperationCode
  await lists.add({
    ...line,
    patternType: PatternCode.prefixed,
    operation: write,
    permissionType: PermissionCode.allow,
  })
  await lists.add({ ...line, patternType: PatternCode.literal, operation: write, permissionType: PermissionCode.deny })
  expect(authorizer.allows(ada, 'write', { type: 'topic', name: 'logs' })).toBe(false)
  expect(authorizer.allows(ada, 'write', { type: 'topic', name: 'logs.web' })).toBe(true)
  expect(authorizer.allowsSome(ada, 'write', 'topic')).toBe(true)
  await lists.add({ ...line, patternType: PatternCode.prefixed, operation: write, permissionType: PermissionCode.deny })
  expect(authorizer.allowsSome(ada, 'write', 'topic')).toBe(false)
})

const EVERYTHING = {
  ...{ resourceTypeFilter: ResourceCode.any, resourceNameFilter: null, patternTypeFilter: PatternCode.any },
  ...{ principalFilter: null, hostFilter: null, operation: OperationCode.any, permissionType: PermissionCode.any },
}

test('[ACL-2] a filter finds what it names: a pattern by its name, or all that a name falls under', async () => {
  const lists = new AclLists(new MemoryFacts())
  const line = (resourceName: string, patternType: number): Acl => ({
    ...{ resourceType: ResourceCode.topic, resourceName, patternType, principal: 'User:ada', host: '*' },
    ...{ operation: OperationCode.read, permissionType: PermissionCode.allow },
  })
  for (const each of [line('orders', 3), line('ord', 4), line('*', 3), line('orders', 4), line('other', 3)]) {
    await lists.add(each)
    await lists.add(each)
  }
  expect(lists.count).toBe(5)
  const names = (patternTypeFilter: number, resourceNameFilter: string | null) =>
    lists
      .find({ ...EVERYTHING, patternTypeFilter, resourceNameFilter })
      .map((acl) => `${acl.resourceName}/${acl.patternType}`)
  expect(names(PatternCode.any, 'orders')).toEqual(['orders/3', 'orders/4'])
  expect(names(PatternCode.literal, 'orders')).toEqual(['orders/3'])
  expect(names(PatternCode.prefixed, null)).toEqual(['ord/4', 'orders/4'])
  expect(names(PatternCode.match, 'orders-eu')).toEqual(['ord/4', '*/3', 'orders/4'])
  expect(names(PatternCode.match, 'orders')).toEqual(['orders/3', 'ord/4', '*/3', 'orders/4'])
  expect(lists.find({ ...EVERYTHING, principalFilter: 'User:bob' })).toEqual([])
  expect(lists.find({ ...EVERYTHING, hostFilter: '10.0.0.1' })).toEqual([])
})
