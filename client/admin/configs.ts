/** Configuration of topics, brokers, groups and client metrics. */
import { type AdminDriver, type AdminOptions, verdict } from './driver.ts'
import { type PerEntry, perEntry } from './outcomes.ts'
import type { ChangeOptions } from './topics.ts'

const TYPES = { topic: 2, broker: 4, brokerLogger: 8, clientMetrics: 16, group: 32 } as const
const OPERATIONS = { set: 0, delete: 1, append: 2, subtract: 3 } as const
const SOURCES: Readonly<Record<number, ConfigSource>> = {
  1: 'topic',
  2: 'broker',
  3: 'default-broker',
  4: 'static-broker',
  5: 'default',
  6: 'broker-logger',
  7: 'client-metrics',
  8: 'group',
}

type ResourceKind = keyof typeof TYPES

/** A thing that has a configuration, by its name. Brokers by their id as text; '' stands for what all of them have. */
export type ConfigResource =
  | { topic: string }
  | { broker: string }
  | { brokerLogger: string }
  | { clientMetrics: string }
  | { group: string }

/** Where a value comes from: set on the thing itself, on a broker, in a broker's own file, or nowhere. */
export type ConfigSource =
  | ResourceSource
  | 'default-broker'
  | 'static-broker'
  | 'default'
  | 'broker-logger'
  | 'client-metrics'
  | 'unknown'
type ResourceSource = 'topic' | 'broker' | 'group'

export interface ConfigEntry {
  name: string
  /** null when it is sensitive. */
  value: string | null
  source: ConfigSource
  isReadOnly: boolean
  isSensitive: boolean
  documentation: string | null
  /** Where else it could come from, the strongest first; filled when asked for. */
  synonyms: ReadonlyArray<{ name: string; value: string | null; source: ConfigSource }>
}

export interface ResourceConfig {
  resource: ConfigResource
  entries: ConfigEntry[]
}

export interface DescribeConfigsOptions extends AdminOptions {
  /** Only these entries. */
  names?: readonly string[]
  synonyms?: boolean
}

export interface ConfigChange {
  resource: ConfigResource
  name: string
  /** Default 'set'. 'delete' goes back to the default; the others change lists. */
  operation?: keyof typeof OPERATIONS
  value?: string
}

const sourceOf = (code: number): ConfigSource => SOURCES[code] ?? 'unknown'

/** Kind and name of a resource. */
function named(resource: ConfigResource): [kind: ResourceKind, name: string] {
  const [entry] = Object.entries(resource) as Array<[ResourceKind, string]>
  return entry!
}

const keyOf = (type: number, name: string) => `${type}/${name}`
const keyOfResource = (resource: ConfigResource) => {
  const [kind, name] = named(resource)
  return keyOf(TYPES[kind], name)
}

function resourceOf(type: number, name: string): ConfigResource {
  const kind = (Object.keys(TYPES) as ResourceKind[]).find((each) => TYPES[each] === type) ?? 'topic'
  return { [kind]: name } as ConfigResource
}

/** For error messages. */
function shown(resource: ConfigResource): string {
  const [kind, name] = named(resource)
  return kind === 'topic' ? name : `${kind} ${name || '(all)'}`
}

/** A broker knows its own configuration only. */
function placeOf(resource: ConfigResource, otherwise: 'any' | 'controller') {
  const [kind, name] = named(resource)
  const isOne = (kind === 'broker' || kind === 'brokerLogger') && /^\d+$/.test(name)
  return isOne ? { broker: Number(name) } : otherwise
}

/** Rejects UNKNOWN_TOPIC, NOT_AUTHORIZED, RELAY. */
export function describeConfigs(
  driver: AdminDriver,
  resources: readonly ConfigResource[],
  options: DescribeConfigsOptions = {},
): PerEntry<ConfigResource, ResourceConfig> {
  const { names = null, synonyms = false } = options
  return driver.run(options).each<ConfigResource, ResourceConfig>({
    entries: resources,
    where: (resource) => placeOf(resource, 'any'),
    doing: (resource) => `describing the configuration of ${shown(resource)}`,
    async ask(entries, ask) {
      const answer = await ask('DescribeConfigs', {
        resources: entries.map((resource) => {
          const [kind, resourceName] = named(resource)
          return { resourceType: TYPES[kind], resourceName, configurationKeys: names }
        }),
        includeSynonyms: synonyms,
        includeDocumentation: true,
      })
      const results = new Map(answer.results.map((each) => [keyOf(each.resourceType, each.resourceName), each]))
      return entries.map((resource) =>
        verdict(results.get(keyOfResource(resource)), ({ configs }) => ({
          resource,
          entries: configs.map((config) => ({
            name: config.name,
            value: config.value,
            source: sourceOf(config.configSource),
            isReadOnly: config.readOnly,
            isSensitive: config.isSensitive,
            documentation: config.documentation,
            synonyms: config.synonyms.map((each) => ({ ...each, source: sourceOf(each.source) })),
          })),
        })),
      )
    },
  })
}

/** Changes single settings and leaves the others alone: Kafka's incrementalAlterConfigs. All of a resource, or none. */
export function alterConfigs(
  driver: AdminDriver,
  changes: readonly ConfigChange[],
  options: ChangeOptions = {},
): PerEntry<ConfigResource, ConfigResource> {
  const byResource = new Map<string, { resource: ConfigResource; changes: ConfigChange[] }>()
  for (const change of changes) {
    const key = keyOfResource(change.resource)
    const entry = byResource.get(key) ?? { resource: change.resource, changes: [] }
    entry.changes.push(change)
    byResource.set(key, entry)
  }
  const changesOf = (resource: ConfigResource) => byResource.get(keyOfResource(resource))?.changes ?? []
  return driver.run(options).each<ConfigResource, ConfigResource>({
    entries: [...byResource.values()].map(({ resource }) => resource),
    where: (resource) => placeOf(resource, 'controller'),
    doing: (resource) => `changing the configuration of ${shown(resource)}`,
    isChange: true,
    async ask(entries, ask) {
      const resources = entries.map((resource) => {
        const [kind, resourceName] = named(resource)
        const configs = changesOf(resource).map(({ name, operation = 'set', value = null }) => {
          return { name, configOperation: OPERATIONS[operation], value }
        })
        return { resourceType: TYPES[kind], resourceName, configs }
      })
      const answer = await ask('IncrementalAlterConfigs', { resources, validateOnly: options.validateOnly ?? false })
      const results = new Map(answer.responses.map((each) => [keyOf(each.resourceType, each.resourceName), each]))
      return entries.map((resource) => verdict(results.get(keyOfResource(resource)), () => resource))
    },
  })
}

/** What there is to configure. Default: everything. */
export function listConfigResources(
  driver: AdminDriver,
  kinds: readonly ResourceKind[] = [],
  options: AdminOptions = {},
): PerEntry<ConfigResource, ConfigResource> {
  const run = driver.run(options)
  const listed = run.one('any', 'listing what has a configuration', async (ask) => {
    const answer = await ask('ListConfigResources', { resourceTypes: kinds.map((kind) => TYPES[kind]) })
    return verdict(answer, ({ configResources }) => configResources)
  })
  return perEntry(
    listed.then((all) =>
      all.map(({ resourceType, resourceName }) => {
        const resource = resourceOf(resourceType, resourceName)
        return { entry: resource, value: resource }
      }),
    ),
  )
}
