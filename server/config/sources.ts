/**
 * Gathers a relay's configuration: flags before environment before file before defaults.
 *
 * A flag or variable that cannot be used is an error. A file may be a Kafka broker's whole
 * `server.properties`: keys that mean nothing here are listed once, each with its nearest known name.
 */

import { ADVERTISED_LISTENERS, parseAdvertisedListeners } from './advertised-listeners.ts'
import { parseConfigFile } from './config-file.ts'
import { ConfigError } from './definition.ts'
import { checkHeartbeat } from './group-config.ts'
import { nearestName } from './nearest-name.ts'
import {
  kafkaNameOfOption,
  type RelayOptionKey,
  type RelayOptionValues,
  relayOptionKeys,
  relayOptionTable,
} from './relay-options.ts'
import { type TopicConfig, type TopicConfigKey, topicConfigTable } from './topic-config.ts'

/** Everything a relay can be told from outside. */
export interface RelayConfig extends RelayOptionValues {
  /** Configuration of topics that don't override it. */
  topicDefaults: TopicConfig
}

export interface ConfigSources {
  /** By option name without dashes in front: `{'http-port': '0'}`. */
  flags?: Readonly<Record<string, unknown>>
  /** Only names that begin with `OTTLA_` are looked at. */
  environment?: Readonly<Record<string, string | undefined>>
  file?: { path: string; content: string }
}

export interface IgnoredKey {
  key: string
  source: string
  nearest?: string
}

const COMMAND_LINE = 'on the command line'

interface Setting {
  key: string
  value: unknown
  source: string
}

const topicKeys = Object.keys(topicConfigTable) as TopicConfigKey[]

/** Variables that belong to commands, not to the relay. */
const OTHER_VARIABLES = new Set(['OTTLA_URL', 'OTTLA_CONFIG', 'OTTLA_DEBUG'])

/** @throws ConfigError naming source, key, value and allowed range. */
export function resolveRelayConfig(sources: ConfigSources = {}): { config: RelayConfig; ignored: IgnoredKey[] } {
  const config: Record<string, unknown> = {}
  const topicDefaults: Record<string, unknown> = {}
  for (const key of relayOptionKeys) config[key] = relayOptionTable[key].defaultValue
  for (const key of topicKeys) topicDefaults[key] = topicConfigTable[key].defaultValue

  const ignored: IgnoredKey[] = []
  for (const setting of settingsInOrder(sources).flatMap(eachListenerPart)) {
    const target = targetOf(setting.key)
    if (!target) ignored.push(unknownKey(setting))
    else if (target.option) config[target.option] = parsed(setting, relayOptionTable[target.option])
    else topicDefaults[target.topic] = parsedTopicDefault(setting, target)
  }
  config.topicDefaults = topicDefaults
  checkTogether(config as unknown as RelayConfig)
  return { config: config as unknown as RelayConfig, ignored }
}

/** A relay's configuration when nothing is said. */
export const relayConfigDefaults: RelayConfig = resolveRelayConfig().config

/** The variable that sets an option or a topic default: `OTTLA_HTTP_PORT`, `OTTLA_LOG_RETENTION_MS`. */
export function environmentName(name: string): string {
  return `OTTLA_${name.replace(/[.-]/g, '_').toUpperCase()}`
}

/** What a topic configuration is called as a default of the relay, as in Kafka's broker settings: `log.retention.ms`. */
export function topicDefaultName(key: TopicConfigKey): string {
  const { name } = topicConfigTable[key]
  if (key === 'maxMessageBytes') return 'message.max.bytes'
  return name === 'segment.ms' ? 'log.roll.ms' : kafkaBareNames.has(name) ? name : `log.${name}`
}

const kafkaBareNames = new Set(['compression.type', 'producer.id.expiration.ms', 'ottla.durability'])

/** Weakest first, so that stronger ones overwrite. */
function settingsInOrder({ file, environment = {}, flags = {} }: ConfigSources): Setting[] {
  const settings: Setting[] = []
  if (file) {
    const source = `in ${file.path}`
    for (const [key, value] of parseConfigFile(file.path, file.content)) settings.push({ key, value, source })
  }
  for (const [key, value] of Object.entries(environment)) {
    if (!key.startsWith('OTTLA_') || value === undefined || OTHER_VARIABLES.has(key)) continue
    settings.push({ key, value, source: 'in the environment' })
  }
  for (const [key, value] of Object.entries(flags)) {
    if (value !== undefined) settings.push({ key: `--${key}`, value, source: COMMAND_LINE })
  }
  return settings
}

/** Kafka says host and port of its listeners in one line. */
function eachListenerPart(setting: Setting): Setting[] {
  const { key, value, source } = setting
  if (plain(key) !== plain(ADVERTISED_LISTENERS)) return [setting]
  const { host, port } = parseAdvertisedListeners(`${key} ${source}`, value)
  return [
    { key: relayOptionTable.advertisedHost.name, value: host, source },
    { key: relayOptionTable.advertisedPort.name, value: port, source },
  ]
}

/** @throws ConfigError for a flag: what was typed for this very start must mean something. */
function unknownKey({ key, source }: Setting): IgnoredKey {
  const nearest = nearestName(key, names())
  if (source !== COMMAND_LINE) return { key, source, nearest }
  throw new ConfigError(
    'configuration',
    key.replace(/^--/, ''),
    nearest ?? [...names()].join(', '),
    nearest && 'the nearest known name',
  )
}

interface Target {
  option?: RelayOptionKey
  topic: TopicConfigKey
  /** Milliseconds in the unit of the key, for Kafka's `…hours` and `…minutes`. */
  factorMs: number
}

const targets = new Map<string, Target>()
for (const key of relayOptionKeys) {
  const target: Target = { option: key, topic: 'retentionMs', factorMs: 1 }
  for (const name of [relayOptionTable[key].name, key, ...(kafkaNameOfOption[key] ?? [])])
    targets.set(plain(name), target)
}
for (const key of topicKeys) {
  const target: Target = { topic: key, factorMs: 1 }
  for (const name of [topicDefaultName(key), `log.${topicConfigTable[key].name}`]) targets.set(plain(name), target)
}
targets.set(plain('data'), { option: 'dataDir', topic: 'retentionMs', factorMs: 1 })
targets.set(plain('log.flush.interval.ms'), { topic: 'flushMs', factorMs: 1 })
targets.set(plain('log.retention.minutes'), { topic: 'retentionMs', factorMs: 60_000 })
targets.set(plain('log.retention.hours'), { topic: 'retentionMs', factorMs: 3_600_000 })
targets.set(plain('log.roll.hours'), { topic: 'segmentMs', factorMs: 3_600_000 })

function targetOf(key: string): Target | undefined {
  return targets.get(plain(key))
}

function plain(name: string): string {
  return name
    .replace(/^OTTLA_/, '')
    .toLowerCase()
    .replace(/[^a-z0-9]/g, '')
}

function* names(): Iterable<string> {
  for (const key of relayOptionKeys) yield relayOptionTable[key].name
  for (const key of topicKeys) yield topicDefaultName(key)
}

function parsed(setting: Setting, definition: { parse(raw: unknown): unknown; range: string }): unknown {
  try {
    return definition.parse(setting.value)
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    throw new ConfigError(`${setting.key} ${setting.source}`, setting.value, error.allowed)
  }
}

function parsedTopicDefault(setting: Setting, { topic, factorMs }: Target): unknown {
  const value = parsed(setting, topicConfigTable[topic])
  return factorMs > 1 && typeof value === 'number' && value > 0 ? value * factorMs : value
}

function checkTogether(config: RelayConfig): void {
  checkHeartbeat(relayOptionTable.groupConsumerHeartbeatIntervalMs.name, {
    intervalMs: config.groupConsumerHeartbeatIntervalMs,
    sessionTimeoutMs: config.groupConsumerSessionTimeoutMs,
  })
  checkHeartbeat(relayOptionTable.groupShareHeartbeatIntervalMs.name, {
    intervalMs: config.groupShareHeartbeatIntervalMs,
    sessionTimeoutMs: config.groupShareSessionTimeoutMs,
  })
  checkHeartbeat(relayOptionTable.groupStreamsHeartbeatIntervalMs.name, {
    intervalMs: config.groupStreamsHeartbeatIntervalMs,
    sessionTimeoutMs: config.groupStreamsSessionTimeoutMs,
  })
  if (config.topicDefaults.maxMessageBytes >= config.maxRequestBytes) {
    throw new ConfigError(
      topicDefaultName('maxMessageBytes'),
      config.topicDefaults.maxMessageBytes,
      `less than max-request-bytes, which is ${config.maxRequestBytes}`,
    )
  }
}
