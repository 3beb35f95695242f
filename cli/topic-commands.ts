/** Words and flags of `ottla topic …`. */

import type { Command, Flag } from './command.ts'
import { connectionFlags } from './relay-url.ts'

const configFlag: Flag = {
  name: 'config',
  short: 'c',
  value: 'NAME=VALUE',
  repeatable: true,
  doc: "Configuration by Kafka's names, such as retention.ms=86400000.",
}

const load = () => import('./topic.ts')

export const topicCommands: readonly Command[] = [
  {
    name: 'topic create',
    summary: 'Create a topic.',
    positionals: [{ name: 'TOPIC' }],
    flags: [
      ...connectionFlags,
      { name: 'partitions', short: 'p', value: 'N', doc: 'How many.', default: "the relay's num-partitions" },
      configFlag,
      { name: 'if-not-exists', doc: 'Succeed if the topic is there already.' },
    ],
    examples: ['ottla topic create flights --partitions 4', 'ottla topic create notes --config retention.ms=-1'],
    load: async () => (await load()).createTopic,
  },
  {
    name: 'topic list',
    summary: 'List the topics.',
    positionals: [],
    flags: [...connectionFlags, { name: 'internal', doc: "List the relay's own topics too." }],
    examples: ['ottla topic list', 'ottla topic list --json'],
    load: async () => (await load()).listTopics,
  },
  {
    name: 'topic describe',
    summary: 'Show partitions, offsets and configuration of a topic.',
    positionals: [{ name: 'TOPIC' }],
    flags: [...connectionFlags],
    examples: ['ottla topic describe flights'],
    load: async () => (await load()).describeTopic,
  },
  {
    name: 'topic alter',
    summary: 'Change the configuration of a topic or add partitions.',
    positionals: [{ name: 'TOPIC' }],
    flags: [
      ...connectionFlags,
      configFlag,
      { name: 'delete-config', value: 'NAME', repeatable: true, doc: 'Go back to the default of this configuration.' },
      { name: 'partitions', short: 'p', value: 'N', doc: 'Grow to so many partitions.' },
    ],
    examples: ['ottla topic alter flights --config retention.ms=3600000', 'ottla topic alter flights --partitions 8'],
    load: async () => (await load()).alterTopic,
  },
  {
    name: 'topic delete-records',
    summary: 'Delete the oldest records of a topic.',
    positionals: [{ name: 'TOPIC[:N,N]', repeatable: true }],
    flags: [
      ...connectionFlags,
      { name: 'before', value: 'OFFSET', doc: 'Everything below this offset.' },
      { name: 'all', doc: 'Everything there is.' },
    ],
    examples: ['ottla topic delete-records flights:0 --before 1000', 'ottla topic delete-records flights --all'],
    load: async () => (await load()).deleteRecords,
  },
  {
    name: 'topic delete',
    summary: 'Delete topics and all their records.',
    positionals: [{ name: 'TOPIC', repeatable: true }],
    flags: [...connectionFlags, { name: 'if-exists', doc: 'Succeed if a topic is not there.' }],
    examples: ['ottla topic delete flights', 'ottla topic delete a b c --if-exists'],
    load: async () => (await load()).deleteTopics,
  },
]
