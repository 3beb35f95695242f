/**
 * Configuration of the relay and of its topics: one table each, and the ways to read them.
 *
 * - Relay: `resolveRelayConfig({flags, environment, file})` or `relayConfigDefaults`.
 * - Topics: a topic stores overrides as text; `resolveTopicConfig` gives what its logs run with.
 */

export { type ConfigDefinition, ConfigError, type ConfigType } from './config/definition.ts'
export {
  checkGroupConfig,
  type GroupConfig,
  groupConfigKeys,
  groupConfigOf,
  groupConfigTable,
  relayOptionOfGroup,
} from './config/group-config.ts'
export {
  DEFAULT_KAFKA_PORT,
  type RelayOptionKey,
  type RelayOptionValues,
  relayOptionKeys,
  relayOptionTable,
} from './config/relay-options.ts'
export {
  type ConfigSources,
  environmentName,
  type IgnoredKey,
  type RelayConfig,
  relayConfigDefaults,
  resolveRelayConfig,
  topicDefaultName,
} from './config/sources.ts'
export {
  formatTopicConfig,
  resolveTopicConfig,
  type TopicConfig,
  type TopicConfigKey,
  topicConfigDefaults,
  topicConfigDefinitions,
  topicConfigKey,
  topicConfigTable,
  validateTopicConfig,
} from './config/topic-config.ts'
