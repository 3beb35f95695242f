/**
 * Options of a relay, each settable by flag, environment variable and file.
 *
 * One table serves `ottla serve --help`, the parsing of all three sources and the defaults of
 * `createRelay`. The defaults are safe: loopback only, everything bounded.
 */

import {
  type ConfigDefinition,
  type ConfigValues,
  choice,
  choices,
  list,
  numberOrWord,
  text,
  wholeNumber,
  yesOrNo,
} from './definition.ts'
import { shareRelayOptions } from './share-options.ts'
import { streamsRelayOptions } from './streams-options.ts'

const KIB = 1024
const MIB = 1024 * KIB
const INT32_MAX = 2 ** 31 - 1

/** Where Kafka's own clients and tools look for a broker. */
export const DEFAULT_KAFKA_PORT = 9092

const options = {
  dataDir: text({ name: 'data-dir', default: './ottla-data', doc: 'Folder that holds everything the relay keeps.' }),
  host: text({
    name: 'host',
    default: '127.0.0.1',
    doc: 'Address to listen on. The default is reachable from this machine only; 0.0.0.0 opens the relay to the network.',
  }),
  httpPort: wholeNumber({
    name: 'http-port',
    default: 8092,
    min: 0,
    max: 65535,
    meaning: '0 picks a free one',
    doc: 'Port for WebSocket clients, pages and health checks.',
  }),
  kafkaPort: numberOrWord({
    name: 'kafka-port',
    default: 'auto',
    min: 0,
    max: 65535,
    words: { auto: `${DEFAULT_KAFKA_PORT} unless another program has it`, off: 'no Kafka clients' },
    wordOf: { [-1]: 'off' },
    doc: `Port for Kafka clients over TCP. A port that is named must be free; auto takes ${DEFAULT_KAFKA_PORT}, and starts without when another program has it; off or -1 admits none.`,
  }),
  advertisedHost: text({
    name: 'advertised-host',
    default: '',
    emptyAllowed: true,
    doc: 'Host that Kafka clients are told to connect to, where they cannot reach the address they came by: behind a proxy, or in a container. When empty, the address by which they came.',
  }),
  advertisedPort: wholeNumber({
    name: 'advertised-port',
    default: 0,
    min: 0,
    max: 65535,
    meaning: '0: the Kafka port itself',
    doc: 'Port that Kafka clients are told to connect to.',
  }),
  allowOrigins: list({
    name: 'allow-origins',
    default: [],
    doc: 'Origins whose pages may connect, such as https://example.org, besides pages served by the relay itself; * admits every origin.',
  }),
  saslEnabledMechanisms: choices({
    name: 'sasl-enabled-mechanisms',
    default: [],
    emptyAllowed: true,
    words: ['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512', 'OAUTHBEARER'],
    doc: 'How clients sign in, on both doors. With none, everybody is let in.',
  }),
  usersFile: text({
    name: 'users-file',
    default: '',
    emptyAllowed: true,
    doc: 'File of users who may sign in, NAME:PASSWORD on each line. Further ones are made by AlterUserScramCredentials (kafka-configs).',
  }),
  saslOauthbearerJwksEndpointUrl: text({
    name: 'sasl-oauthbearer-jwks-endpoint-url',
    default: '',
    emptyAllowed: true,
    doc: 'Public keys (JWKS) that tokens are signed with, for OAUTHBEARER: https:// of the issuer, or a file. Keys may change while the relay runs.',
  }),
  saslOauthbearerSecretFile: text({
    name: 'sasl-oauthbearer-secret-file',
    default: '',
    emptyAllowed: true,
    doc: 'Instead of public keys: a file whose first line is a secret of 32 bytes or more, for tokens signed with HS256, HS384 or HS512.',
  }),
  saslOauthbearerExpectedAudience: list({
    name: 'sasl-oauthbearer-expected-audience',
    default: [],
    doc: 'Tokens must be for one of these (claim aud). With none, those for anybody are taken.',
  }),
  saslOauthbearerExpectedIssuer: text({
    name: 'sasl-oauthbearer-expected-issuer',
    default: '',
    emptyAllowed: true,
    doc: 'Tokens must be from there (claim iss). When empty, from whoever has the key.',
  }),
  saslOauthbearerClockSkewSeconds: wholeNumber({
    name: 'sasl-oauthbearer-clock-skew-seconds',
    default: 30,
    min: 0,
    max: 3600,
    unit: 'seconds',
    doc: "How far the issuer's clock may be from this one.",
  }),
  saslOauthbearerSubClaimName: text({
    name: 'sasl-oauthbearer-sub-claim-name',
    default: 'sub',
    doc: 'The claim of a token that says who it is.',
  }),
  connectionsMaxReauthMs: wholeNumber({
    name: 'connections-max-reauth-ms',
    default: 0,
    min: 0,
    max: INT32_MAX,
    unit: 'ms',
    meaning: '0 sets no limit',
    doc: 'How long a client stays signed in; one that does not sign in again on its connection by then is closed.',
  }),
  accessControl: choice({
    name: 'access-control',
    default: 'off',
    words: ['off', 'lists'],
    aliases: {
      '': 'off',
      'org.apache.kafka.metadata.authorizer.StandardAuthorizer': 'lists',
      'kafka.security.authorizer.AclAuthorizer': 'lists',
    },
    doc: "Who may do what: off, everybody who is let in may everything; lists, by Kafka's access control lists, which begin empty and allow nothing.",
  }),
  superUsers: list({
    name: 'super-users',
    default: [],
    separator: /[,;]/,
    doc: 'Users who may everything, whatever the lists say.',
  }),
  allowEveryoneIfNoAclFound: yesOrNo({
    name: 'allow-everyone-if-no-acl-found',
    default: false,
    doc: 'What no line of the lists speaks of, everybody may.',
  }),
  autoCreateTopics: yesOrNo({
    name: 'auto-create-topics',
    default: false,
    doc: 'Create a topic when a client first asks for its metadata or writes to it.',
  }),
  documentsTopic: text({
    name: 'documents-topic',
    default: 'yjs',
    doc: 'Topic of the documents that editors open at /yjs/NAME.',
  }),
  numPartitions: wholeNumber({
    name: 'num-partitions',
    default: 1,
    min: 1,
    max: 10_000,
    unit: 'partitions',
    doc: 'Partitions of a topic that is created without a number.',
  }),
  maxConnections: wholeNumber({
    name: 'max-connections',
    default: 10_000,
    min: 1,
    max: 1_000_000,
    unit: 'connections',
    doc: 'Connections at a time; further ones are refused.',
  }),
  maxConnectionsPerIp: wholeNumber({
    name: 'max-connections-per-ip',
    default: 10_000,
    min: 1,
    max: 1_000_000,
    unit: 'connections',
    doc: 'Connections at a time from one address.',
  }),
  connectionsMaxIdleMs: wholeNumber({
    name: 'connections-max-idle-ms',
    default: 600_000,
    min: 100,
    max: INT32_MAX,
    unit: 'ms',
    doc: 'A Kafka connection over which nothing has gone for so long, and that waits for no answer, is closed.',
  }),
  maxRequestBytes: wholeNumber({
    name: 'max-request-bytes',
    default: 8 * MIB,
    min: 64 * KIB,
    max: 512 * MIB,
    unit: 'bytes',
    doc: 'Largest request; a connection that announces more is closed before memory is taken.',
  }),
  heartbeatMs: wholeNumber({
    name: 'heartbeat-ms',
    default: 10_000,
    min: 100,
    max: 300_000,
    unit: 'ms',
    doc: 'A silent connection hears from the relay this often.',
  }),
  logFormat: choice({ name: 'log-format', default: 'text', words: ['text', 'json'], doc: 'How the relay reports.' }),
  logLevel: choice({
    name: 'log-level',
    default: 'info',
    words: ['error', 'warn', 'info', 'debug'],
    doc: 'The least important events that are still reported.',
  }),
  shutdownTimeoutMs: wholeNumber({
    name: 'shutdown-timeout-ms',
    default: 10_000,
    min: 0,
    max: 600_000,
    unit: 'ms',
    doc: 'How long a stop may take to finish writes and close connections before it is forced.',
  }),
  retentionCheckMs: wholeNumber({
    name: 'retention-check-ms',
    default: 300_000,
    min: 100,
    max: INT32_MAX,
    unit: 'ms',
    doc: 'How often old segments are looked for.',
  }),
  diskLowBytes: wholeNumber({
    name: 'disk-low-bytes',
    default: 1024 * MIB,
    min: 0,
    unit: 'bytes',
    doc: 'With less room than this on the disk producers are refused, with an error that says to send again; below a quarter of it nothing is taken but commits, ends of transactions and deletions.',
  }),
  diskLowPercent: wholeNumber({
    name: 'disk-low-percent',
    default: 5,
    min: 0,
    max: 100,
    unit: 'percent',
    doc: 'The same as a share of the disk; the lesser of the two holds.',
  }),
  compactionCheckMs: wholeNumber({
    name: 'compaction-check-ms',
    default: 15_000,
    min: 10,
    max: INT32_MAX,
    unit: 'ms',
    doc: 'How often topics that keep the newest record of each key are looked at.',
  }),
  compactionMapBytes: wholeNumber({
    name: 'compaction-map-bytes',
    default: 32 * MIB,
    min: 64 * KIB,
    max: 4096 * MIB,
    unit: 'bytes',
    doc: 'Memory for keys while a partition is compacted, 32 bytes each; more keys take more passes.',
  }),
  compactionBytesPerSecond: wholeNumber({
    name: 'compaction-bytes-per-second',
    default: 64 * MIB,
    min: 64 * KIB,
    unit: 'bytes a second',
    doc: 'How fast compaction may read and write.',
  }),
  groupInitialRebalanceDelayMs: wholeNumber({
    name: 'group-initial-rebalance-delay-ms',
    default: 3000,
    min: 0,
    max: INT32_MAX,
    unit: 'ms',
    doc: 'How long an empty consumer group waits for further members after its first has joined.',
  }),
  groupMinSessionTimeoutMs: wholeNumber({
    name: 'group-min-session-timeout-ms',
    default: 6000,
    min: 1,
    max: INT32_MAX,
    unit: 'ms',
    doc: 'Shortest session timeout that a member of a consumer group may ask for.',
  }),
  groupMaxSessionTimeoutMs: wholeNumber({
    name: 'group-max-session-timeout-ms',
    default: 1_800_000,
    min: 1,
    max: INT32_MAX,
    unit: 'ms',
    doc: 'Longest session timeout that a member of a consumer group may ask for.',
  }),
  groupMaxSize: wholeNumber({
    name: 'group-max-size',
    default: 10_000,
    min: 1,
    max: INT32_MAX,
    unit: 'members',
    doc: 'Members of a consumer group at a time; further ones are refused.',
  }),
  groupConsumerSessionTimeoutMs: wholeNumber({
    name: 'group-consumer-session-timeout-ms',
    default: 45_000,
    min: 1,
    max: INT32_MAX,
    unit: 'ms',
    doc: 'A member of the next consumer group protocol that has been silent for so long is out.',
  }),
  groupConsumerHeartbeatIntervalMs: wholeNumber({
    name: 'group-consumer-heartbeat-interval-ms',
    default: 5000,
    min: 1,
    max: INT32_MAX,
    unit: 'ms',
    doc: 'How often members of the next consumer group protocol are asked to be heard.',
  }),
  groupConsumerMaxSize: wholeNumber({
    name: 'group-consumer-max-size',
    default: 10_000,
    min: 1,
    max: INT32_MAX,
    unit: 'members',
    doc: 'Members of a group of the next protocol at a time; further ones are refused.',
  }),
  groupConsumerAssignors: choices({
    name: 'group-consumer-assignors',
    default: ['uniform', 'range'],
    words: ['uniform', 'range'],
    aliases: {
      'org.apache.kafka.coordinator.group.assignor.UniformAssignor': 'uniform',
      'org.apache.kafka.coordinator.group.assignor.RangeAssignor': 'range',
    },
    doc: 'Assignors that members of the next consumer group protocol may choose from; the first is the default.',
  }),
  groupConsumerMigrationPolicy: choice({
    name: 'group-consumer-migration-policy',
    default: 'bidirectional',
    words: ['bidirectional', 'upgrade', 'downgrade', 'disabled'],
    doc: 'Whether a consumer group with members goes on with the next protocol when the first member of that joins (upgrade), and with the classic one when the last of them leaves (downgrade).',
  }),
  ...shareRelayOptions,
  ...streamsRelayOptions,
  offsetsRetentionMinutes: wholeNumber({
    name: 'offsets-retention-minutes',
    default: 10_080,
    min: 1,
    max: INT32_MAX,
    unit: 'minutes',
    doc: 'Committed offsets are forgotten when their group has had no members for so long.',
  }),
  offsetsRetentionCheckIntervalMs: wholeNumber({
    name: 'offsets-retention-check-interval-ms',
    default: 600_000,
    min: 100,
    max: INT32_MAX,
    unit: 'ms',
    doc: 'How often committed offsets that are past their time are looked for.',
  }),
  offsetMetadataMaxBytes: wholeNumber({
    name: 'offset-metadata-max-bytes',
    default: 4096,
    min: 0,
    max: 32_767,
    unit: 'bytes',
    doc: 'Largest text that a client may store with a committed offset.',
  }),
  transactionMaxTimeoutMs: wholeNumber({
    name: 'transaction-max-timeout-ms',
    default: 900_000,
    min: 1,
    max: INT32_MAX,
    unit: 'ms',
    doc: 'Longest transaction that a producer may ask for; one that lasts longer than asked is aborted.',
  }),
  transactionalIdExpirationMs: wholeNumber({
    name: 'transactional-id-expiration-ms',
    default: 604_800_000,
    min: 1,
    max: INT32_MAX,
    unit: 'ms',
    doc: 'Transactional ids that began and ended nothing for so long are forgotten.',
  }),
  transactionRemoveExpiredTransactionCleanupIntervalMs: wholeNumber({
    name: 'transaction-remove-expired-transaction-cleanup-interval-ms',
    default: 3_600_000,
    min: 1,
    max: INT32_MAX,
    unit: 'ms',
    doc: 'How often transactional ids that are past their time are looked for.',
  }),
} as const

/** What the table describes. Topic defaults are apart, in `RelayConfig.topicDefaults`. */
export type RelayOptionValues = ConfigValues<typeof options>

export type RelayOptionKey = keyof RelayOptionValues

export const relayOptionTable: { readonly [Key in RelayOptionKey]: ConfigDefinition<RelayOptionValues[Key]> } = options

export const relayOptionKeys = Object.keys(options) as RelayOptionKey[]

/** What Kafka's `server.properties` calls these options. */
export const kafkaNameOfOption: Partial<Record<RelayOptionKey, readonly string[]>> = {
  accessControl: ['authorizer.class.name'],
  dataDir: ['log.dirs', 'log.dir'],
  advertisedHost: ['advertised.host.name'],
  autoCreateTopics: ['auto.create.topics.enable'],
  numPartitions: ['num.partitions'],
  maxConnections: ['max.connections'],
  maxConnectionsPerIp: ['max.connections.per.ip'],
  maxRequestBytes: ['socket.request.max.bytes'],
  retentionCheckMs: ['log.retention.check.interval.ms'],
  compactionCheckMs: ['log.cleaner.backoff.ms'],
  compactionMapBytes: ['log.cleaner.dedupe.buffer.size'],
  compactionBytesPerSecond: ['log.cleaner.io.max.bytes.per.second'],
}
