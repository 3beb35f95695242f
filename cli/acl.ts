/** `ottla acl list`: who may do what, where lists are kept. */

import type { AclFilter } from '../client/node.ts'
import { EXIT_OK, type Invocation, textFlag, UsageError } from './command.ts'
import { table } from './output.ts'
import { withRelay } from './relay-connection.ts'

export async function listAcls(invocation: Invocation): Promise<number> {
  const { output, json } = invocation
  const filter = filterOf(invocation)
  const acls = await withRelay(invocation, ({ admin }) => admin.describeAcls(filter))
  if (json) await output.json(acls)
  else if (acls.length === 0) output.note('No access rights match.')
  else {
    const rows = acls.map((acl) => [
      ...[acl.principal, acl.permission, acl.operation, acl.resourceType, acl.resourceName],
      ...[acl.patternType ?? 'literal', acl.host ?? '*'],
    ])
    await output.write(table(['PRINCIPAL', 'PERMISSION', 'OPERATION', 'RESOURCE', 'NAME', 'PATTERN', 'HOST'], rows))
  }
  return EXIT_OK
}

function filterOf(invocation: Invocation): AclFilter {
  const [principal, topic, group] = ['principal', 'topic', 'group'].map((flag) => textFlag(invocation, flag))
  if (topic !== undefined && group !== undefined) throw new UsageError('say --topic or --group, not both')
  const resource: AclFilter =
    topic !== undefined
      ? { resourceType: 'topic', resourceName: topic, patternType: 'match' }
      : group !== undefined
        ? { resourceType: 'group', resourceName: group, patternType: 'match' }
        : {}
  return { ...resource, ...(principal === undefined ? {} : { principal }) }
}
