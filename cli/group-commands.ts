/** Words and flags of `ottla group …`. */

import type { Command, Flag } from './command.ts'
import { connectionFlags } from './relay-url.ts'

const load = () => import('./group.ts')
const loadReset = () => import('./group-reset.ts')

const topicFlag: Flag = {
  name: 'topic',
  short: 't',
  value: 'TOPIC[:N,N]',
  repeatable: true,
  doc: 'This topic, or these partitions of it.',
}

export const groupCommands: readonly Command[] = [
  {
    name: 'group list',
    summary: 'List groups of consumers and share groups, and their states.',
    positionals: [],
    flags: [
      ...connectionFlags,
      { name: 'state', value: 'STATE', repeatable: true, doc: 'Only in this state, such as Stable or Empty.' },
      { name: 'all', doc: 'Groups of other kinds too, such as those of Kafka Connect.' },
    ],
    examples: ['ottla group list', 'ottla group list --state Stable --json'],
    load: async () => (await load()).listGroups,
  },
  {
    name: 'group describe',
    summary: 'Show state, members, committed offsets and lag of groups.',
    positionals: [{ name: 'GROUP', repeatable: true }],
    flags: [...connectionFlags],
    examples: ['ottla group describe billing'],
    load: async () => (await load()).describeGroups,
  },
  {
    name: 'group members',
    summary: 'Show who is in a group, and what each reads.',
    positionals: [{ name: 'GROUP' }],
    flags: [...connectionFlags],
    examples: ['ottla group members billing'],
    load: async () => (await load()).showMembers,
  },
  {
    name: 'group offsets',
    summary: 'Show what a group has committed, partition by partition, with its lag.',
    positionals: [{ name: 'GROUP' }],
    flags: [...connectionFlags],
    examples: ['ottla group offsets billing', 'ottla group offsets billing --json'],
    load: async () => (await load()).showOffsets,
  },
  {
    name: 'group reset-offsets',
    summary: 'Move a group to another place in its topics.',
    detail:
      'Shows what would be done; --execute does it. The group must have no members. Say one place: --to-earliest, ' +
      '--to-latest, --to-current, --to-datetime, --by-duration, --shift-by, --to-offset or --from-file. What lies outside ' +
      "of a log is held at its start or end. The flags are those of Kafka's kafka-consumer-groups.",
    positionals: [{ name: 'GROUP' }],
    flags: [
      ...connectionFlags,
      topicFlag,
      { name: 'all-topics', doc: 'Every partition in which the group has commits; so it is without --topic.' },
      { name: 'to-earliest', doc: 'To the first record there is.' },
      { name: 'to-latest', doc: 'Behind the last one.' },
      { name: 'to-current', doc: 'To where the group is.' },
      { name: 'to-datetime', value: 'TIME', doc: 'To the first record that is not older: ISO 8601, or milliseconds.' },
      { name: 'by-duration', value: 'SPAN', doc: 'So long ago: P1DT2H30M, or 90s, 15m, 12h, 7d.' },
      { name: 'shift-by', value: 'N', doc: 'So many records forward, or back with a negative number.' },
      { name: 'to-offset', value: 'N', doc: 'To this offset.' },
      { name: 'from-file', value: 'FILE', doc: 'Lines of topic,partition,offset, as --export prints them.' },
      { name: 'dry-run', doc: 'Only show; so it is without --execute.' },
      { name: 'execute', doc: 'Do it.' },
      { name: 'export', doc: 'Print topic,partition,offset, for --from-file.' },
    ],
    examples: [
      'ottla group reset-offsets billing --to-earliest --topic orders --execute',
      'ottla group reset-offsets billing --by-duration P1D --all-topics --dry-run',
      'ottla group reset-offsets billing --shift-by -100 --topic orders:0,2 --execute',
      'ottla group reset-offsets billing --to-current --export > offsets.csv',
    ],
    load: async () => (await loadReset()).resetOffsets,
  },
  {
    name: 'group delete-offsets',
    summary: 'Forget what a group has committed in a topic.',
    detail: 'A share group forgets whole topics, and begins there anew.',
    positionals: [{ name: 'GROUP' }],
    flags: [...connectionFlags, topicFlag],
    examples: ['ottla group delete-offsets billing --topic orders', 'ottla group delete-offsets billing -t orders:3'],
    load: async () => (await load()).deleteOffsets,
  },
  {
    name: 'group delete',
    summary: 'Delete groups that have no members, with their offsets.',
    positionals: [{ name: 'GROUP', repeatable: true }],
    flags: [...connectionFlags],
    examples: ['ottla group delete billing'],
    load: async () => (await load()).deleteGroups,
  },
  {
    name: 'group remove-member',
    summary: 'Send members out of a group; the others take over what they read.',
    positionals: [{ name: 'GROUP' }],
    flags: [
      ...connectionFlags,
      { name: 'member', value: 'ID', repeatable: true, doc: 'By member id.' },
      { name: 'instance', value: 'ID', repeatable: true, doc: 'A static member, by its instance id.' },
      { name: 'all', doc: 'Everybody.' },
    ],
    examples: ['ottla group remove-member billing --instance worker-3', 'ottla group remove-member billing --all'],
    load: async () => (await load()).removeMembers,
  },
]
