/**
 * AlterConfigs 0-2: the settings of a topic or a group as a whole; what is not named goes back to its default. ListConfigResources 0-1:
 * what there is to configure.
 */
import { ErrorCode, KafkaError } from '../../protocol/errors.ts'
import { alterConfigs, listConfigResources } from '../../protocol/messages/config-resources.ts'
import { entry } from '../handler.ts'
import { BROKER_ID } from '../services.ts'
import { alterEach, ResourceType, type SettingChanges, type Settings } from './configurable.ts'
import { errorFields } from './error-fields.ts'

export const alterConfigsHandler = entry(alterConfigs, 'each', (request, context) =>
  alterEach(request, context, replacingAll),
)

function replacingAll(
  configs: ReadonlyArray<{ name: string; value: string | null }>,
  { overrides }: Settings,
): SettingChanges {
  const changes = new Map<string, string | null>(Object.keys(overrides).map((name) => [name, null]))
  const named = new Set<string>()
  for (const { name, value } of configs) {
    if (named.has(name)) throw new KafkaError('INVALID_REQUEST', `${name} stands more than once in the request`)
    if (value === null) throw new KafkaError('INVALID_REQUEST', `${name} has no value: leave it out for its default`)
    named.add(name)
    changes.set(name, value)
  }
  return changes
}

/** KIP-1142: the types that may be asked for. Loggers and client metrics have nothing to configure here. */
const KNOWN_TYPES: ReadonlySet<number> = new Set(Object.values(ResourceType))

export const listConfigResourcesHandler = entry(listConfigResources, 'each', ({ resourceTypes }, context) => {
  if (!context.allows('describe-configs', { type: 'cluster' }))
    return { errorCode: ErrorCode.CLUSTER_AUTHORIZATION_FAILED, configResources: [] }
  if (context.apiVersion === 0) return { errorCode: ErrorCode.NONE, configResources: [] }
  if (resourceTypes.some((type) => !KNOWN_TYPES.has(type)))
    return { errorCode: ErrorCode.UNSUPPORTED_VERSION, configResources: [] }
  const isAsked = (type: number) => resourceTypes.length === 0 || resourceTypes.includes(type)
  const configResources: Array<{ resourceName: string; resourceType: number }> = []
  if (isAsked(ResourceType.topic)) {
    for (const { name } of context.services.engine.topics())
      configResources.push({ resourceName: name, resourceType: ResourceType.topic })
  }
  if (isAsked(ResourceType.broker))
    configResources.push({ resourceName: String(BROKER_ID), resourceType: ResourceType.broker })
  try {
    if (isAsked(ResourceType.group)) {
      for (const groupId of context.services.groups.configs.overrides.keys())
        configResources.push({ resourceName: groupId, resourceType: ResourceType.group })
    }
    return { errorCode: ErrorCode.NONE, configResources }
  } catch (error) {
    return { errorCode: errorFields(error).errorCode, configResources: [] }
  }
})
