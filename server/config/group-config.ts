/**
 * Configuration of one group, of any kind: Kafka's names, the relay's options as defaults.
 *
 * A group has only what was set for it (its overrides, as text), whether there are members or not. It counts from a
 * member's next heartbeat on.
 */
import { type ConfigDefinition, ConfigError, type ConfigValues, wholeNumber } from './definition.ts'
import { nearestName } from './nearest-name.ts'
import { type RelayOptionKey, type RelayOptionValues, relayOptionTable } from './relay-options.ts'
import { relayOptionOfShareGroup, shareGroupDefinitions } from './share-options.ts'
import { relayOptionOfStreamsGroup, streamsGroupDefinitions } from './streams-options.ts'

const INT32_MAX = 2 ** 31 - 1

const definitions = {
  consumerSessionTimeoutMs: wholeNumber({
    name: 'consumer.session.timeout.ms',
    type: 'int',
    default: relayOptionTable.groupConsumerSessionTimeoutMs.defaultValue,
    min: 1,
    max: INT32_MAX,
    unit: 'ms',
    doc: 'A member of the next consumer group protocol that has been silent for so long is out.',
  }),
  consumerHeartbeatIntervalMs: wholeNumber({
    name: 'consumer.heartbeat.interval.ms',
    type: 'int',
    default: relayOptionTable.groupConsumerHeartbeatIntervalMs.defaultValue,
    min: 1,
    max: INT32_MAX,
    unit: 'ms',
    doc: 'How often members of the next consumer group protocol are asked to be heard.',
  }),
  ...shareGroupDefinitions,
  ...streamsGroupDefinitions,
} as const

export type GroupConfig = ConfigValues<typeof definitions>
type GroupConfigKey = keyof GroupConfig

/** What the relay calls the same for all groups. */
const inherited = {
  consumerSessionTimeoutMs: 'groupConsumerSessionTimeoutMs',
  consumerHeartbeatIntervalMs: 'groupConsumerHeartbeatIntervalMs',
  ...relayOptionOfShareGroup,
  ...relayOptionOfStreamsGroup,
} as const satisfies Partial<Record<GroupConfigKey, RelayOptionKey>>

export const relayOptionOfGroup: { readonly [Key in GroupConfigKey]?: (typeof inherited)[keyof typeof inherited] } =
  inherited

export type GroupDefaults = Pick<RelayOptionValues, (typeof inherited)[keyof typeof inherited]>

export const groupConfigKeys = Object.keys(definitions) as GroupConfigKey[]
export const groupConfigTable: { readonly [Key in GroupConfigKey]: ConfigDefinition<GroupConfig[Key]> } = definitions

/** What a group goes by. Overrides were checked when they were set. */
export function groupConfigOf(overrides: Readonly<Record<string, string>>, defaults: GroupDefaults): GroupConfig {
  const settingOf = (key: GroupConfigKey): unknown => {
    const { name, defaultValue, parse } = definitions[key]
    const override = overrides[name]
    if (override !== undefined) return parse(override)
    const option = relayOptionOfGroup[key]
    return option ? defaults[option] : defaultValue
  }
  return Object.fromEntries(groupConfigKeys.map((key) => [key, settingOf(key)])) as GroupConfig
}

/** @throws ConfigError for an unknown name, a value out of range, or two that do not go together. */
export function checkGroupConfig(overrides: Readonly<Record<string, string>>, defaults: GroupDefaults): void {
  for (const [name, value] of Object.entries(overrides)) definitions[groupConfigKey(name)].parse(value)
  const config = groupConfigOf(overrides, defaults)
  checkHeartbeat(definitions.consumerHeartbeatIntervalMs.name, {
    ...{ intervalMs: config.consumerHeartbeatIntervalMs, sessionTimeoutMs: config.consumerSessionTimeoutMs },
  })
  checkHeartbeat(definitions.shareHeartbeatIntervalMs.name, {
    ...{ intervalMs: config.shareHeartbeatIntervalMs, sessionTimeoutMs: config.shareSessionTimeoutMs },
  })
  checkHeartbeat(definitions.streamsHeartbeatIntervalMs.name, {
    ...{ intervalMs: config.streamsHeartbeatIntervalMs, sessionTimeoutMs: config.streamsSessionTimeoutMs },
  })
}

/** Who is heard less often than its session lasts is out before it is heard. */
export function checkHeartbeat(
  name: string,
  { intervalMs, sessionTimeoutMs }: { intervalMs: number; sessionTimeoutMs: number },
): void {
  if (intervalMs >= sessionTimeoutMs)
    throw new ConfigError(name, intervalMs, `less than the session timeout, which is ${sessionTimeoutMs}`)
}

function groupConfigKey(name: string): GroupConfigKey {
  const key = groupConfigKeys.find((each) => definitions[each].name === name)
  if (key) return key
  const names = groupConfigKeys.map((each) => definitions[each].name)
  const nearest = nearestName(name, names)
  throw new ConfigError(
    'group configuration',
    name,
    nearest ? `${nearest}` : `one of ${names.join(', ')}`,
    nearest ? 'the nearest known name' : undefined,
  )
}
