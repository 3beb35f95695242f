/** Words and flags of `ottla produce`. */

import type { Command } from './command.ts'
import { connectionFlags } from './relay-url.ts'

export const produceCommand: Command = {
  name: 'produce',
  summary: 'Write records to a topic, from standard input or a file.',
  detail:
    'One record a line: plain text, KEY<separator>VALUE with --key-separator, or JSON objects with --format ndjson: ' +
    '{"key": "SFO", "value": {"delay": 3}, "headers": {"source": "demo"}, "partition": 0, "timestamp": 978307200000}. ' +
    'Headers of one name are pairs: [["source", "a"], ["source", "b"]]. Keys and values of NDJSON that are no texts are ' +
    "written as JSON; null is a null. Each record is committed to the relay's disk before it counts.",
  positionals: [{ name: 'TOPIC' }, { name: 'FILE', optional: true }],
  flags: [
    ...connectionFlags,
    { name: 'format', short: 'f', value: 'FORMAT', doc: 'lines or ndjson.', default: 'lines' },
    {
      name: 'key-separator',
      short: 'K',
      value: 'TEXT',
      doc: 'Splits a line into key and value at its first occurrence.',
    },
    { name: 'key', short: 'k', value: 'KEY', doc: 'Key of every record that has none of its own.' },
    { name: 'header', short: 'H', value: 'NAME=VALUE', repeatable: true, doc: 'Header of every record.' },
    { name: 'partition', short: 'p', value: 'N', doc: 'Write to this partition; otherwise the key decides.' },
  ],
  examples: [
    "echo 'hello' | ottla produce greetings",
    'ottla produce flights flights.ndjson --format ndjson',
    "printf 'SFO:late\\nJFK:early\\n' | ottla produce delays --key-separator : --header source=shell",
  ],
  load: async () => (await import('./produce.ts')).produce,
}
