/**
 * Configuration of one consumer group: Kafka's names, the relay's options as defaults.
 *
 * A group has only what was set for it (its overrides, as text), whether there are members or not. It counts from a
 * member's next heartbeat on.
 */
import { type ConfigDefinition, ConfigError, type ConfigValues, wholeNumber } from './definition.ts'
import { nearestName } from './nearest-name.ts'
import { type RelayOptionKey, type RelayOptionValues, relayOptionTable } from './relay-options.ts'

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
} as const

export type GroupConfig = ConfigValues<typeof definitions>
type GroupConfigKey = keyof GroupConfig

/** What the relay calls the same for all groups. */
export const relayOptionOfGroup = {
  consumerSessionTimeoutMs: 'groupConsumerSessionTimeoutMs',
  consumerHeartbeatIntervalMs: 'groupConsumerHeartbeatIntervalMs',
} as const satisfies Record<GroupConfigKey, RelayOptionKey>

export type GroupDefaults = Pick<RelayOptionValues, (typeof relayOptionOfGroup)[GroupConfigKey]>

export const groupConfigKeys = Object.keys(definitions) as GroupConfigKey[]
export const groupConfigTable: { readonly [Key in GroupConfigKey]: ConfigDefinition<number> } = definitions

/** What a group goes by. Overrides were checked when they were set. */
export function groupConfigOf(overrides: Readonly<Record<string, string>>, defaults: GroupDefaults): GroupConfig {
  const config = {} as GroupConfig
  for (const key of groupConfigKeys) {
    const override = overrides[definitions[key].name]
    config[key] = override === undefined ? defaults[relayOptionOfGroup[key]] : definitions[key].parse(override)
  }
  return config
}

/** @throws ConfigError for an unknown name, a value out of range, or two that do not go together. */
export function checkGroupConfig(overrides: Readonly<Record<string, string>>, defaults: GroupDefaults): void {
  for (const [name, value] of Object.entries(overrides)) definitions[groupConfigKey(name)].parse(value)
  const config = groupConfigOf(overrides, defaults)
  checkHeartbeat(definitions.consumerHeartbeatIntervalMs.name, config.consumerHeartbeatIntervalMs, config)
}

/** Who is heard less often than its session lasts is out before it is heard. */
export function checkHeartbeat(
  name: string,
  intervalMs: number,
  { consumerSessionTimeoutMs }: Pick<GroupConfig, 'consumerSessionTimeoutMs'>,
): void {
  if (intervalMs >= consumerSessionTimeoutMs)
    throw new ConfigError(name, intervalMs, `less than the session timeout, which is ${consumerSessionTimeoutMs}`)
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
