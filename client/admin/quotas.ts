/** Quotas of users, clients and addresses. */
import { type AdminDriver, type AdminOptions, verdict } from './driver.ts'
import type { PerEntry } from './outcomes.ts'
import type { ChangeOptions } from './topics.ts'

const MATCHES = { exact: 0, default: 1, any: 2 } as const

/** Whom a quota is for: any combination of `user`, `client-id`, `ip`; null is whoever has none of its own. */
export type QuotaEntity = Readonly<Record<string, string | null>>

export interface ClientQuota {
  entity: QuotaEntity
  /** By Kafka's names: producer_byte_rate, consumer_byte_rate, request_percentage, … */
  values: Record<string, number>
}

export interface QuotaFilter {
  /** By kind of entity: a name, null for the default, or 'any' as { any: true }. */
  match?: Readonly<Record<string, string | null | { any: true }>>
  /** Only entities of exactly these kinds. */
  strict?: boolean
}

export function describeClientQuotas(
  driver: AdminDriver,
  filter: QuotaFilter = {},
  options: AdminOptions = {},
): Promise<ClientQuota[]> {
  const components = Object.entries(filter.match ?? {}).map(([entityType, wanted]) => {
    if (wanted === null) return { entityType, matchType: MATCHES.default, match: null }
    if (typeof wanted === 'object') return { entityType, matchType: MATCHES.any, match: null }
    return { entityType, matchType: MATCHES.exact, match: wanted }
  })
  return driver.run(options).one('any', 'describing quotas', async (ask) => {
    const answer = await ask('DescribeClientQuotas', { components, strict: filter.strict ?? false })
    return verdict(answer, ({ entries }) =>
      (entries ?? []).map(({ entity, values }) => ({
        entity: Object.fromEntries(entity.map(({ entityType, entityName }) => [entityType, entityName])),
        values: Object.fromEntries(values.map(({ key, value }) => [key, value])),
      })),
    )
  })
}

export interface QuotaChange {
  entity: QuotaEntity
  /** null removes it. */
  changes: Readonly<Record<string, number | null>>
}

export function alterClientQuotas(
  driver: AdminDriver,
  alterations: readonly QuotaChange[],
  options: ChangeOptions = {},
): PerEntry<QuotaChange, QuotaChange> {
  return driver.run(options).each<QuotaChange, QuotaChange>({
    entries: alterations,
    where: () => 'controller',
    doing: ({ entity }) => `changing the quotas of ${JSON.stringify(entity)}`,
    isChange: true,
    async ask(asked, ask) {
      const entries = asked.map(({ entity, changes }) => ({
        entity: Object.entries(entity).map(([entityType, entityName]) => ({ entityType, entityName })),
        ops: Object.entries(changes).map(([key, value]) => ({ key, value: value ?? 0, remove: value === null })),
      }))
      const answer = await ask('AlterClientQuotas', { entries, validateOnly: options.validateOnly ?? false })
      const keyOf = (entity: ReadonlyArray<{ entityType: string; entityName: string | null }>) =>
        JSON.stringify(entity.map(({ entityType, entityName }) => [entityType, entityName]).sort())
      const found = new Map(answer.entries.map((each) => [keyOf(each.entity), each]))
      return asked.map((entry, index) => verdict(found.get(keyOf(entries[index]!.entity)), () => entry))
    },
  })
}
