/** Words and flags of `ottla consume`. */

import type { Command } from './command.ts'
import { connectionFlags } from './relay-url.ts'

export const consumeCommand: Command = {
  name: 'consume',
  summary: 'Print records of a topic.',
  detail:
    'Prints what is there and ends; with --follow it goes on with what arrives. FORMAT is text (the value), json (one ' +
    'object a line) or a pattern: %k key, %v value, %h headers, %t topic, %p partition, %o offset, %T timestamp in ms, ' +
    '%K and %V length of key and value, %% percent sign, \\n \\t \\\\ as usual.',
  positionals: [{ name: 'TOPIC' }],
  flags: [
    ...connectionFlags,
    {
      name: 'from',
      value: 'POSITION',
      doc: 'beginning, end, offset:N, time:ISO or time:MS, last:N (the N newest of all partitions read).',
      default: 'beginning, or end with --follow',
    },
    { name: 'follow', short: 'f', doc: 'Go on with records as they arrive.' },
    { name: 'partition', short: 'p', value: 'N', repeatable: true, doc: 'Only this partition.' },
    { name: 'format', short: 'o', value: 'FORMAT', doc: 'text, json or a pattern.', default: 'text' },
    { name: 'count', short: 'n', value: 'N', doc: 'End after so many records.' },
    {
      name: 'isolation',
      value: 'LEVEL',
      doc: 'committed, or uncommitted: also records of transactions that are open or were aborted.',
      default: 'committed',
    },
  ],
  examples: [
    'ottla consume flights --from last:10',
    "ottla consume flights --follow --format '%p/%o %k %v\\n'",
    'ottla consume flights --from time:2024-05-01T00:00:00Z --json | jq .value',
  ],
  load: async () => (await import('./consume.ts')).consume,
}
