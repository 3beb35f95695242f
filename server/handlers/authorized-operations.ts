/** What a client may do with a resource, as the bits that Metadata, DescribeCluster and their like carry (KIP-430). */
import type { Operation, Resource } from '../authorizer.ts'
import type { RequestContext } from '../handler.ts'

/** The relay's operations as Kafka's operation codes, each of which is a bit. */
const KAFKA_OPERATIONS: Readonly<Record<Operation, readonly number[]>> = {
  read: [3],
  write: [4],
  create: [5],
  delete: [6],
  alter: [7],
  describe: [8],
  'cluster-action': [9],
  'describe-configs': [10],
  'alter-configs': [11],
  'idempotent-write': [12],
}

const ASKABLE: Readonly<Record<'topic' | 'cluster', readonly Operation[]>> = {
  topic: ['read', 'write', 'create', 'delete', 'alter', 'describe', 'describe-configs', 'alter-configs'],
  cluster: ['create', 'alter', 'describe', 'cluster-action', 'describe-configs', 'alter-configs', 'idempotent-write'],
}

/** For an answer to a client that has not asked. */
export const OPERATIONS_NOT_ASKED_FOR = -2_147_483_648

export function authorizedOperations(
  resource: Extract<Resource, { type: 'topic' | 'cluster' }>,
  context: RequestContext,
  isAsked = true,
): number {
  if (!isAsked) return OPERATIONS_NOT_ASKED_FOR
  let bits = 0
  for (const operation of ASKABLE[resource.type]) {
    if (!context.allows(operation, resource)) continue
    for (const code of KAFKA_OPERATIONS[operation]) bits |= 1 << code
  }
  return bits
}
