/**
 * DescribeConfigs 1-4, IncrementalAlterConfigs 0-1, for topics and groups; the relay's own settings can be read, not
 * changed, this way (they come from flags, environment and file).
 */
import { ErrorCode, KafkaError } from '../../protocol/errors.ts'
import { describeConfigs, incrementalAlterConfigs } from '../../protocol/messages/configs.ts'
import {
  type ConfigDefinition,
  formatTopicConfig,
  groupConfigKeys,
  groupConfigOf,
  groupConfigTable,
  type RelayConfig,
  relayOptionKeys,
  relayOptionOfGroup,
  relayOptionTable,
  topicConfigDefinitions,
} from '../config.ts'
import type { Topic } from '../engine.ts'
import { entry, type RequestContext } from '../handler.ts'
import { BROKER_ID } from '../services.ts'
import { alterEach, ResourceType, type SettingChanges, type Settings } from './configurable.ts'
import { errorFields } from './error-fields.ts'
import { checkGroupAccess } from './group-access.ts'

/** KIP-226: where a value comes from. */
const Source = { topic: 1, staticBroker: 4, default: 5, group: 8 } as const
const CONFIG_TYPES: Readonly<Record<ConfigDefinition<unknown>['type'], number>> = {
  boolean: 1,
  string: 2,
  int: 3,
  long: 5,
  double: 6,
  list: 7,
}
const Operation = { set: 0, delete: 1, append: 2, subtract: 3 } as const

export const describeConfigsHandler = entry(describeConfigs, 'each', (request, context) => ({
  results: distinct(request.resources).map(({ resourceType, resourceName, configurationKeys }) => {
    const resource = { resourceType, resourceName }
    try {
      const all = describeResource(resourceType, resourceName, context)
      const configs = all.filter(({ name }) => configurationKeys === null || configurationKeys.includes(name))
      const shown = request.includeDocumentation
        ? configs
        : configs.map((config) => ({ ...config, documentation: null }))
      return { ...resource, errorCode: ErrorCode.NONE, errorMessage: null, configs: shown }
    } catch (error) {
      return { ...resource, ...errorFields(error), configs: [] }
    }
  }),
}))

/** A resource that is named twice is described once: a description is hundreds of times its name. */
function distinct<T extends { resourceType: number; resourceName: string }>(resources: readonly T[]): T[] {
  return [...new Map(resources.map((each) => [`${each.resourceType}/${each.resourceName}`, each])).values()]
}

function describeResource(resourceType: number, name: string, context: RequestContext) {
  const { engine, config } = context.services
  if (resourceType === ResourceType.topic) {
    if (!context.allows('describe-configs', { type: 'topic', name }))
      throw new KafkaError('TOPIC_AUTHORIZATION_FAILED', `not allowed to describe ${name}`)
    const topic = engine.topicByName(name)
    if (!topic) throw new KafkaError('UNKNOWN_TOPIC_OR_PARTITION', `there is no topic ${name}`)
    return describeEntries(topic)
  }
  if (resourceType === ResourceType.broker) {
    if (!context.allows('describe-configs', { type: 'cluster' }))
      throw new KafkaError('CLUSTER_AUTHORIZATION_FAILED', 'not allowed to describe the relay')
    if (name !== String(BROKER_ID))
      throw new KafkaError('INVALID_REQUEST', `there is one broker, ${BROKER_ID}, and no "${name}"`)
    return describeRelay(config)
  }
  if (resourceType === ResourceType.group) {
    checkGroupAccess(context, 'describe-configs', name)
    return describeGroupConfig(context.services.groups.configs.overrides.get(name) ?? {}, config)
  }
  throw new KafkaError('INVALID_REQUEST', `resources of type ${resourceType} have no configuration here`)
}

/** All configurations of a topic, as DescribeConfigs and CreateTopics list them. */
export function describeEntries(topic: Pick<Topic, 'config' | 'configOverrides'>) {
  return topicConfigDefinitions.map((definition) => {
    const isOverride = definition.name in topic.configOverrides
    const configSource: number = isOverride ? Source.topic : Source.default
    return described(definition, formatTopicConfig(topic.config, definition.name), configSource, false)
  })
}

function describeRelay(config: RelayConfig) {
  return relayOptionKeys.map((key) => {
    const definition = relayOptionTable[key] as ConfigDefinition<unknown>
    const value = config[key]
    return described(
      definition,
      definition.format(value),
      value === definition.defaultValue ? Source.default : Source.staticBroker,
      true,
    )
  })
}

function describeGroupConfig(overrides: Readonly<Record<string, string>>, relay: RelayConfig) {
  const values = groupConfigOf(overrides, relay)
  return groupConfigKeys.map((key) => {
    const definition = groupConfigTable[key] as ConfigDefinition<unknown>
    const option = relayOptionOfGroup[key]
    const isRelays = option !== undefined && relay[option] !== definition.defaultValue
    const inherited = isRelays ? Source.staticBroker : Source.default
    const configSource = definition.name in overrides ? Source.group : inherited
    return described(definition, definition.format(values[key]), configSource, false)
  })
}

function described(definition: ConfigDefinition<unknown>, value: string, configSource: number, readOnly: boolean) {
  return {
    name: definition.name,
    value,
    readOnly,
    configSource,
    isSensitive: false,
    synonyms: [],
    configType: CONFIG_TYPES[definition.type],
    documentation: definition.doc as string | null,
  }
}

export const incrementalAlterConfigsHandler = entry(incrementalAlterConfigs, 'each', (request, context) =>
  alterEach(request, context, changesIn),
)

function changesIn(configs: readonly Change[], now: Settings): SettingChanges {
  const changes = new Map<string, string | null>()
  for (const change of configs) {
    if (changes.has(change.name))
      throw new KafkaError('INVALID_REQUEST', `${change.name} stands more than once in the request`)
    changes.set(change.name, newValue(now, change))
  }
  return changes
}

interface Change {
  name: string
  configOperation: number
  value: string | null
}

function newValue(now: Settings, { name, configOperation, value }: Change): string | null {
  if (configOperation === Operation.delete) return null
  if (configOperation === Operation.set && value !== null) return value
  if (configOperation === Operation.append || configOperation === Operation.subtract) {
    return changedList(now, name, listOf(value ?? ''), configOperation === Operation.append)
  }
  throw new KafkaError('INVALID_REQUEST', `operation ${configOperation} on ${name} is not known, or has no value`)
}

function changedList(now: Settings, name: string, changed: readonly string[], isAppended: boolean): string {
  const before = now.listValue(name)
  if (before === undefined) {
    throw new KafkaError(
      'INVALID_CONFIG',
      `${name} is not a list: it can be set or deleted, not appended to or subtracted from`,
    )
  }
  const rest = listOf(before).filter((each) => !changed.includes(each))
  return (isAppended ? [...rest, ...changed] : rest).join(',')
}

const listOf = (text: string): string[] =>
  text
    .split(',')
    .map((each) => each.trim())
    .filter((each) => each !== '')
