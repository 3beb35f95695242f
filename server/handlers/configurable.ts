/** What has settings that a request can change: topics, and groups of consumers. */
import { ErrorCode, KafkaError } from '../../protocol/errors.ts'
import { formatTopicConfig, topicConfigDefinitions } from '../config.ts'
import type { Topic } from '../engine.ts'
import type { RequestContext } from '../handler.ts'
import { errorFields } from './error-fields.ts'
import { checkGroupAccess } from './group-access.ts'

/** KIP-226, KIP-848, KIP-1142. */
export const ResourceType = { topic: 2, broker: 4, brokerLogger: 8, clientMetrics: 16, group: 32 } as const

/** As they are when their change's turn has come: others may have been at work on them since it was asked for. */
export interface Settings {
  readonly overrides: Readonly<Record<string, string>>
  /** What a setting holds, as text; undefined unless it is a list. Names that are not known are left to whoever alters. */
  listValue(name: string): string | undefined
}

/** `null` takes an override back. */
export type SettingChanges = ReadonlyMap<string, string | null>

interface Configurable {
  /** In turn with others. Rejects with what `changesOf` throws, and with KafkaError INVALID_CONFIG. */
  alter(changesOf: (now: Settings) => SettingChanges, options: { validateOnly: boolean }): Promise<void>
}

export interface AlteredResource<C> {
  resourceType: number
  resourceName: string
  configs: readonly C[]
}

/** Each by itself: the error of one is nothing to another. One that is named twice is refused, as Kafka does. */
export async function alterEach<C>(
  request: { resources: ReadonlyArray<AlteredResource<C>>; validateOnly: boolean },
  context: RequestContext,
  changesOf: (configs: readonly C[], now: Settings) => SettingChanges,
) {
  const keyOf = ({ resourceType, resourceName }: AlteredResource<C>) => `${resourceType}/${resourceName}`
  const resources = new Map(request.resources.map((each) => [keyOf(each), each]))
  const twice = namedTwice(request.resources.map(keyOf))
  const responses = [...resources].map(async ([key, { resourceType, resourceName, configs }]) => {
    const resource = { resourceType, resourceName }
    try {
      if (twice.has(key)) throw new KafkaError('INVALID_REQUEST', 'each resource must stand once in the request')
      const { validateOnly } = request
      await alterable(resourceType, resourceName, context).alter((now) => changesOf(configs, now), { validateOnly })
      return { ...resource, errorCode: ErrorCode.NONE, errorMessage: null }
    } catch (error) {
      return { ...resource, ...errorFields(error) }
    }
  })
  return { responses: await Promise.all(responses) }
}

function namedTwice(keys: readonly string[]): ReadonlySet<string> {
  const seen = new Set<string>()
  return new Set(keys.filter((key) => seen.has(key) || !seen.add(key)))
}

/** Throws KafkaError when there is none, or the client may not alter it. */
function alterable(resourceType: number, name: string, context: RequestContext): Configurable {
  if (resourceType === ResourceType.topic) return alterableTopic(name, context)
  if (resourceType === ResourceType.group) return alterableGroup(name, context)
  throw new KafkaError(
    'INVALID_REQUEST',
    'only topics and groups can be altered; the relay reads its settings at start',
  )
}

function alterableTopic(name: string, context: RequestContext): Configurable {
  const { engine } = context.services
  if (!context.allows('alter-configs', { type: 'topic', name }))
    throw new KafkaError('TOPIC_AUTHORIZATION_FAILED', `not allowed to alter ${name}`)
  const topic = engine.topicByName(name)
  if (!topic) throw new KafkaError('UNKNOWN_TOPIC_OR_PARTITION', `there is no topic ${name}`)
  return {
    alter: (changesOf, options) =>
      engine.alterTopic(topic.id, (now) => Object.fromEntries(changesOf(settingsOf(now))), options),
  }
}

const settingsOf = ({ config, configOverrides }: Topic): Settings => ({
  overrides: configOverrides,
  listValue: (key) => {
    const definition = topicConfigDefinitions.find((each) => each.name === key)
    if (!definition) return ''
    return definition.type === 'list' ? formatTopicConfig(config, key) : undefined
  },
})

/** A group can be configured before it has ever had a member. */
function alterableGroup(groupId: string, context: RequestContext): Configurable {
  const { groups } = context.services
  checkGroupAccess(context, 'alter-configs', groupId)
  return {
    alter: (changesOf, options) =>
      groups.configs.alter(groupId, (overrides) => changesOf({ overrides, listValue: () => undefined }), options),
  }
}
