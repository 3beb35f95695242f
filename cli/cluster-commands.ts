/** Words and flags of the commands about the relay itself: cluster, config, producers, log-dirs, acl. */

import type { Command, Flag } from './command.ts'
import { connectionFlags } from './relay-url.ts'

const load = () => import('./cluster.ts')
const loadConfig = () => import('./config.ts')
const loadAcl = () => import('./acl.ts')

const aclResourceFlags: readonly Flag[] = [
  { name: 'topic', value: 'TOPIC', doc: 'A topic; * is each.' },
  { name: 'group', value: 'GROUP', doc: 'A consumer group.' },
  { name: 'transactional-id', value: 'ID', doc: 'A transactional id.' },
  { name: 'cluster', doc: 'The cluster: create topics anywhere, describe and alter what belongs to no topic.' },
]

const aclFlags: readonly Flag[] = [
  {
    name: 'operation',
    value: 'WHAT',
    repeatable: true,
    doc: 'read, write, create, delete, alter, describe, describe-configs, alter-configs, cluster-action, idempotent-write or all.',
  },
  ...aclResourceFlags,
  { name: 'prefixed', doc: 'All whose name begins so.' },
  { name: 'host', value: 'ADDRESS', repeatable: true, doc: 'From this address only.', default: '*' },
  { name: 'deny', doc: 'Denied rather than allowed.' },
]

const ENTITY = 'topic:NAME, group:NAME, broker:ID or client-metrics:NAME. A name alone is a topic.'

export const clusterCommands: readonly Command[] = [
  {
    name: 'cluster describe',
    summary: 'Show the cluster, its brokers and features.',
    positionals: [],
    flags: [...connectionFlags],
    examples: ['ottla cluster describe', 'ottla cluster describe --bootstrap-server kafka.example.org:9092 --json'],
    load: async () => (await load()).describeCluster,
  },
  {
    name: 'config describe',
    summary: 'Show the configuration of a topic, a group or the relay.',
    detail: `THING is ${ENTITY}`,
    positionals: [{ name: 'THING' }],
    flags: [...connectionFlags, { name: 'all', doc: 'Values that are defaults too.' }],
    examples: ['ottla config describe orders --all', 'ottla config describe broker:1'],
    load: async () => (await loadConfig()).describeConfig,
  },
  {
    name: 'config alter',
    summary: 'Change single settings of a topic or a group.',
    detail: `THING is ${ENTITY} All changes are made, or none.`,
    positionals: [{ name: 'THING' }],
    flags: [
      ...connectionFlags,
      { name: 'set', short: 'c', value: 'NAME=VALUE', repeatable: true, doc: 'Give a setting a value.' },
      { name: 'delete', value: 'NAME', repeatable: true, doc: 'Go back to the default.' },
      { name: 'dry-run', doc: 'Check only.' },
    ],
    examples: [
      'ottla config alter orders --set retention.ms=86400000 --delete segment.bytes',
      'ottla config alter group:billing --set consumer.session.timeout.ms=50000',
    ],
    load: async () => (await loadConfig()).alterConfig,
  },
  {
    name: 'producers',
    summary: 'Show who writes to a topic: the producers that its partitions remember.',
    positionals: [{ name: 'TOPIC[:N,N]' }],
    flags: [...connectionFlags],
    examples: ['ottla producers orders', 'ottla producers orders:0'],
    load: async () => (await load()).describeProducers,
  },
  {
    name: 'transactions',
    summary: 'List transactional ids, and what state their transactions are in.',
    positionals: [],
    flags: [
      ...connectionFlags,
      { name: 'state', value: 'STATE', repeatable: true, doc: 'Only in this state, such as Ongoing or PrepareCommit.' },
      { name: 'pattern', value: 'REGEX', doc: "Only ids that match as a whole, in RE2's syntax." },
      { name: 'open-for', value: 'MS', doc: 'Only those that have been open for longer.' },
    ],
    examples: ['ottla transactions', "ottla transactions --state Ongoing --pattern 'billing-.*' --open-for 60000"],
    load: async () => (await load()).listTransactions,
  },
  {
    name: 'log-dirs',
    summary: 'Show how much room topics take on disk.',
    positionals: [{ name: 'TOPIC', optional: true, repeatable: true }],
    flags: [...connectionFlags],
    examples: ['ottla log-dirs', 'ottla log-dirs orders --json'],
    load: async () => (await load()).describeLogDirs,
  },
  {
    name: 'acl list',
    summary: 'Show access rights, where the relay or the Kafka keeps lists.',
    positionals: [],
    flags: [
      ...connectionFlags,
      { name: 'principal', value: 'WHO', doc: 'Only those of this user, such as ada or User:ada.' },
      ...aclResourceFlags,
    ],
    examples: ['ottla acl list --principal ada', 'ottla acl list --topic orders'],
    load: async () => (await loadAcl()).listAcls,
  },
  {
    name: 'acl add',
    summary: 'Give a user rights, or take them by a denial that outweighs all others.',
    detail:
      'To read, write, delete or alter is to describe as well. A consumer needs read on its topics and its group, a ' +
      'producer write on its topics.',
    positionals: [],
    flags: [
      ...connectionFlags,
      { name: 'principal', value: 'WHO', repeatable: true, doc: 'A user, such as ada or User:ada; * is everybody.' },
      ...aclFlags,
    ],
    examples: [
      'ottla acl add --principal ada --operation read --operation write --topic orders',
      'ottla acl add --principal ada --operation read --group billing- --prefixed',
      "ottla acl add --principal '*' --operation all --topic secrets --deny",
    ],
    load: async () => (await loadAcl()).addAcls,
  },
  {
    name: 'acl remove',
    summary: 'Take lines away: all that match what is said.',
    positionals: [],
    flags: [
      ...connectionFlags,
      { name: 'principal', value: 'WHO', repeatable: true, doc: 'Of this user.' },
      ...aclFlags,
    ],
    examples: ['ottla acl remove --principal ada', 'ottla acl remove --principal ada --operation write --topic orders'],
    load: async () => (await loadAcl()).removeAcls,
  },
]
