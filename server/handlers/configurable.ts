/** What has settings that a request can change: topics, and groups of consumers. */
import { KafkaError } from '../../protocol/errors.ts'
import { formatTopicConfig, topicConfigDefinitions } from '../config.ts'
import type { RequestContext } from '../handler.ts'
import { checkGroupAccess } from './group-access.ts'

/** KIP-226, KIP-848, KIP-1142. */
export const ResourceType = { topic: 2, broker: 4, brokerLogger: 8, clientMetrics: 16, group: 32 } as const

export interface Configurable {
  readonly overrides: Readonly<Record<string, string>>
  /** What a setting holds now, as text; undefined unless it is a list. Names that are not known are left to `alter`. */
  listValue(name: string): string | undefined
  /** `null` takes an override back. Rejects with KafkaError INVALID_CONFIG. */
  alter(changes: ReadonlyMap<string, string | null>, options: { validateOnly: boolean }): Promise<void>
}

/** Throws KafkaError when there is none, or the client may not alter it. */
export function alterable(resourceType: number, name: string, context: RequestContext): Configurable {
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
    overrides: topic.configOverrides,
    listValue: (key) => {
      const definition = topicConfigDefinitions.find((each) => each.name === key)
      if (!definition) return ''
      return definition.type === 'list' ? formatTopicConfig(topic.config, key) : undefined
    },
    alter: (changes, options) => engine.alterTopic(topic.id, Object.fromEntries(changes), options),
  }
}

/** A group can be configured before it has ever had a member. */
function alterableGroup(groupId: string, context: RequestContext): Configurable {
  const { groups } = context.services
  checkGroupAccess(context, 'alter-configs', groupId)
  return {
    overrides: groups.configs.overrides.get(groupId) ?? {},
    listValue: () => undefined,
    alter: (changes, options) => groups.configs.alter(groupId, changes, options),
  }
}
