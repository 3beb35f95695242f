/** What a relay that runs does not serve, and will not until it is started again. */
import type { Services } from './services.ts'

export type OutOfService =
  | { topic: string; partition: number; reason: string }
  | { part: 'metadata' | 'groups' | 'transactions'; reason: string }

export function outOfService({ engine, groups, transactions }: Services): OutOfService[] {
  const partitions = [...engine.topics()].flatMap(({ name, partitions }) =>
    partitions.flatMap((log, partition) =>
      log.state === 'offline' ? [{ topic: name, partition, reason: log.fault?.message ?? 'offline' }] : [],
    ),
  )
  const faults = { metadata: engine.metadataFault, groups: groups.fault, transactions: transactions.fault }
  const parts = (['metadata', 'groups', 'transactions'] as const).flatMap((part) => {
    const reason = faults[part]
    return reason === undefined ? [] : [{ part, reason }]
  })
  return [...parts, ...partitions]
}
