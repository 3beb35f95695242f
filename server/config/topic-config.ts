/**
 * Configuration of a topic: Kafka's names, Ottla's defaults.
 *
 * A topic stores only what was set on it (its overrides, as text). `resolveTopicConfig` lays these
 * over the relay's defaults each time one of the two changes; the result is what a log runs with.
 */

import { type ConfigDefinition, ConfigError, type ConfigValues, choice, fraction, wholeNumber } from './definition.ts'
import { nearestName } from './nearest-name.ts'

const DAY_MS = 86_400_000
const INT32_MAX = 2 ** 31 - 1

const definitions = {
  retentionMs: wholeNumber({
    name: 'retention.ms',
    default: 7 * DAY_MS,
    min: -1,
    meaning: '-1 keeps records whatever their age',
    unit: 'ms',
    doc: 'Closed segments whose newest record is older than this are deleted.',
  }),
  retentionBytes: wholeNumber({
    name: 'retention.bytes',
    default: -1,
    min: -1,
    meaning: '-1 keeps records whatever their size',
    unit: 'bytes',
    doc: 'The oldest closed segments of a partition are deleted while the partition is larger than this.',
  }),
  segmentBytes: wholeNumber({
    name: 'segment.bytes',
    type: 'int',
    default: 134_217_728,
    min: 1024,
    max: INT32_MAX,
    unit: 'bytes',
    doc: 'Size of one log file; retention works on whole files.',
  }),
  segmentMs: wholeNumber({
    name: 'segment.ms',
    default: 7 * DAY_MS,
    min: 1,
    unit: 'ms',
    doc: 'A new log file is begun after this time even if the old one is not full.',
  }),
  maxMessageBytes: wholeNumber({
    name: 'max.message.bytes',
    type: 'int',
    default: 1_048_588,
    min: 0,
    max: INT32_MAX,
    unit: 'bytes',
    doc: 'Largest record batch that a producer may send, headers included.',
  }),
  messageTimestampType: choice({
    name: 'message.timestamp.type',
    default: 'CreateTime',
    words: ['CreateTime', 'LogAppendTime'],
    doc: 'Whether records keep the time given by their producer or get the time of their arrival.',
  }),
  messageTimestampAfterMaxMs: wholeNumber({
    name: 'message.timestamp.after.max.ms',
    default: 3_600_000,
    min: 0,
    unit: 'ms',
    doc: 'Records whose own time lies further in the future are refused. Unused with LogAppendTime.',
  }),
  cleanupPolicy: choice({
    name: 'cleanup.policy',
    type: 'list',
    default: 'delete',
    words: ['delete', 'compact', 'compact,delete'],
    aliases: { 'delete,compact': 'compact,delete' },
    doc: 'What happens to old records: delete drops whole segments by retention.ms and retention.bytes, compact keeps the newest record of each key.',
  }),
  deleteRetentionMs: wholeNumber({
    name: 'delete.retention.ms',
    default: DAY_MS,
    min: 0,
    unit: 'ms',
    doc: 'How long a tombstone of a compacted topic can still be read after compaction first met it.',
  }),
  minCleanableDirtyRatio: fraction({
    name: 'min.cleanable.dirty.ratio',
    default: 0.5,
    doc: 'A log is compacted when this share of its closed files has been written since the last time.',
  }),
  minCompactionLagMs: wholeNumber({
    name: 'min.compaction.lag.ms',
    default: 0,
    min: 0,
    unit: 'ms',
    doc: 'Records younger than this are not compacted.',
  }),
  maxCompactionLagMs: wholeNumber({
    name: 'max.compaction.lag.ms',
    default: Number.MAX_SAFE_INTEGER,
    min: 1,
    unit: 'ms',
    doc: 'Records older than this are compacted however little else there is to compact.',
  }),
  durability: choice({
    name: 'ottla.durability',
    default: 'fsync',
    words: ['fsync', 'relaxed'],
    doc: 'What an acknowledgement promises: fsync that the record is on disk, relaxed that it is written and will be on disk within flush.ms. A power cut may take relaxed records.',
  }),
  flushMs: wholeNumber({
    name: 'flush.ms',
    default: 1000,
    min: 1,
    max: INT32_MAX,
    unit: 'ms',
    doc: 'How long a record of a topic with relaxed durability may wait to be on disk. Unused with fsync.',
  }),
  producerIdExpirationMs: wholeNumber({
    name: 'producer.id.expiration.ms',
    default: 30 * DAY_MS,
    min: 1,
    unit: 'ms',
    doc: 'How long an idle producer is remembered, so that what it sends again is not written twice. Long, because a phone can be offline for weeks.',
  }),
  compressionType: choice({
    name: 'compression.type',
    default: 'producer',
    words: ['producer'],
    refused: Object.fromEntries(
      ['gzip', 'snappy', 'lz4', 'zstd', 'uncompressed'].map((codec) => [codec, 'batches are stored as they were sent']),
    ),
    doc: 'Batches keep the compression that their producer chose.',
  }),
} as const

/** The configuration that a topic's logs run with: every key has a value. */
export type TopicConfig = ConfigValues<typeof definitions>

export type TopicConfigKey = keyof TopicConfig

/** All topic configurations, by the property that holds them in a `TopicConfig`. */
export const topicConfigTable: { readonly [Key in TopicConfigKey]: ConfigDefinition<TopicConfig[Key]> } = definitions

const keys = Object.keys(definitions) as TopicConfigKey[]
const keyOfName = new Map(keys.map((key) => [definitions[key].name as string, key]))

/** All topic configurations in a fixed order, as DescribeConfigs lists them. `name` is Kafka's. */
export const topicConfigDefinitions: readonly ConfigDefinition<unknown>[] = keys.map((key) => definitions[key])

export const topicConfigDefaults: TopicConfig = resolveTopicConfig({})

/**
 * The configuration of a topic with these overrides (Kafka's names to text) on top of the relay's defaults.
 *
 * @throws ConfigError for an unknown name or a value out of range.
 */
export function resolveTopicConfig(
  overrides: Readonly<Record<string, string>>,
  defaults?: Partial<TopicConfig>,
): TopicConfig {
  const values: Record<string, unknown> = {}
  for (const key of keys) values[key] = defaults?.[key] ?? definitions[key].defaultValue
  for (const [name, value] of Object.entries(overrides)) values[topicConfigKey(name)] = validateTopicConfig(name, value)
  return values as TopicConfig
}

/**
 * Checks one override and returns its parsed value.
 *
 * @throws ConfigError for an unknown name (the text suggests the nearest) or a value out of range.
 */
export function validateTopicConfig(name: string, value: unknown): string | number {
  return definitions[topicConfigKey(name)].parse(value)
}

/** The value of one named configuration as text, as DescribeConfigs reports it. */
export function formatTopicConfig(config: TopicConfig, name: string): string {
  return String(config[topicConfigKey(name)])
}

/** The property of `TopicConfig` behind Kafka's name. @throws ConfigError if there is none. */
export function topicConfigKey(name: string): TopicConfigKey {
  const key = keyOfName.get(name)
  if (key) return key
  const nearest = nearestName(name, keyOfName.keys())
  throw new ConfigError(
    'topic configuration',
    name,
    nearest ? `${nearest}` : `one of ${[...keyOfName.keys()].join(', ')}`,
    nearest ? 'the nearest known name' : undefined,
  )
}
