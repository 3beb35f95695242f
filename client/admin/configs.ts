/** Configuration of topics and of the relay. */
import { kafkaFailure } from '../kafka-failure.ts'
import { type AdminCall, throwFailures } from './calls.ts'

const RESOURCE_TYPES = { topic: 2, broker: 4 } as const
const OPERATIONS = { set: 0, delete: 1, append: 2, subtract: 3 } as const
const SOURCES = new Map([
  [1, 'topic'],
  [2, 'broker'],
  [4, 'broker'],
  [5, 'default'],
] as const)

/** A topic by its name; the relay itself as { broker: '' }. */
export type ConfigResource = { topic: string } | { broker: string }

export interface ConfigEntry {
  name: string
  /** null when it is sensitive. */
  value: string | null
  source: 'topic' | 'broker' | 'default' | 'unknown'
  isReadOnly: boolean
  isSensitive: boolean
  documentation: string | null
}

export interface ResourceConfig {
  resource: ConfigResource
  entries: ConfigEntry[]
}

export interface ConfigChange {
  resource: ConfigResource
  name: string
  /** Default 'set'. 'delete' goes back to the default; the others change lists. */
  operation?: keyof typeof OPERATIONS
  value?: string
}

const typeOf = (resource: ConfigResource) => ('topic' in resource ? RESOURCE_TYPES.topic : RESOURCE_TYPES.broker)
const nameOf = (resource: ConfigResource) => ('topic' in resource ? resource.topic : resource.broker)
const resourceOf = (type: number, name: string): ConfigResource =>
  type === RESOURCE_TYPES.topic ? { topic: name } : { broker: name }

/** `names`: only these entries. */
export async function describeConfigs(
  call: AdminCall,
  resources: readonly ConfigResource[],
  names?: readonly string[],
): Promise<ResourceConfig[]> {
  const answer = await call('DescribeConfigs', {
    resources: resources.map((resource) => ({
      resourceType: typeOf(resource),
      resourceName: nameOf(resource),
      configurationKeys: names ?? null,
    })),
    includeSynonyms: false,
    includeDocumentation: true,
  })
  throwFailures(
    answer.results
      .filter(({ errorCode }) => errorCode !== 0)
      .map(({ resourceName, errorCode, errorMessage }) =>
        kafkaFailure(errorCode, `describing the configuration of ${resourceName || 'the relay'}`, errorMessage),
      ),
  )
  return answer.results.map(({ resourceType, resourceName, configs }) => ({
    resource: resourceOf(resourceType, resourceName),
    entries: configs.map((config) => ({
      name: config.name,
      value: config.value,
      source: SOURCES.get(config.configSource as 1) ?? 'unknown',
      isReadOnly: config.readOnly,
      isSensitive: config.isSensitive,
      documentation: config.documentation,
    })),
  }))
}

/** Changes single entries and leaves the others alone (Kafka's incrementalAlterConfigs). */
export async function alterConfigs(
  call: AdminCall,
  changes: readonly ConfigChange[],
  validateOnly: boolean,
): Promise<void> {
  const resources = new Map<string, { resourceType: number; resourceName: string; configs: ChangedConfig[] }>()
  for (const { resource, name, operation = 'set', value = null } of changes) {
    const [resourceType, resourceName] = [typeOf(resource), nameOf(resource)]
    const key = `${resourceType}:${resourceName}`
    const entry = resources.get(key) ?? { resourceType, resourceName, configs: [] }
    entry.configs.push({ name, configOperation: OPERATIONS[operation], value })
    resources.set(key, entry)
  }
  const answer = await call('IncrementalAlterConfigs', { resources: [...resources.values()], validateOnly })
  throwFailures(
    answer.responses
      .filter(({ errorCode }) => errorCode !== 0)
      .map(({ resourceName, errorCode, errorMessage }) =>
        kafkaFailure(errorCode, `changing the configuration of ${resourceName || 'the relay'}`, errorMessage),
      ),
  )
}

interface ChangedConfig {
  name: string
  configOperation: number
  value: string | null
}
