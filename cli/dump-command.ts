/** Words and flags of `ottla dump`. */

import type { Command } from './command.ts'

export const dumpCommand: Command = {
  name: 'dump',
  summary: 'Show what is in segment files, batch by batch, for a person to read.',
  detail:
    'PATH is a segment (.log), the folder of a partition, or the data folder together with --topic; the folders ' +
    'metadata, groups and transactions in it are logs too. Works beside a running relay, changes nothing, and goes on ' +
    'behind damage.',
  positionals: [{ name: 'PATH' }],
  flags: [
    { name: 'topic', short: 't', value: 'TOPIC', doc: 'In a data folder: the topic.' },
    { name: 'partition', short: 'p', value: 'N', doc: 'And its partition.', default: '0' },
    { name: 'from', value: 'OFFSET', doc: 'Begin with the batch that holds this offset.' },
    { name: 'to', value: 'OFFSET', doc: 'End with the batch that holds this offset.' },
    { name: 'records', short: 'r', doc: 'Show the records in each batch too.' },
    { name: 'limit', short: 'n', value: 'N', doc: 'So many batches at most.' },
  ],
  examples: [
    'ottla dump ./ottla-data --topic flights --partition 1',
    'ottla dump ./ottla-data/groups --records',
    'ottla dump ./ottla-data/topics/flights.ID/0/00000000000000000000.log --from 100 --to 200 --records',
  ],
  load: async () => (await import('./dump.ts')).dump,
}
