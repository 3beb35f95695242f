/** Words and flags of `ottla dead-letters …`. */

import type { Command, Flag, Positional } from './command.ts'
import { connectionFlags } from './relay-url.ts'

const load = () => import('./dead-letters.ts')

const place: readonly Positional[] = [{ name: 'GROUP' }, { name: 'TOPIC' }]
const nameFlag: Flag = {
  name: 'dead-letter-topic',
  value: 'NAME',
  doc: 'Where they are.',
  default: 'TOPIC.GROUP.dlq',
}
const codeFlag: Flag = { name: 'code', value: 'CODE', repeatable: true, doc: 'Only those that died of this.' }

export const deadLetterCommands: readonly Command[] = [
  {
    name: 'dead-letters list',
    summary: 'List the records of a topic that a group could not do, and why.',
    positionals: place,
    flags: [...connectionFlags, nameFlag, codeFlag, { name: 'all', doc: 'Those too that were replayed.' }],
    examples: [
      'ottla dead-letters list billing orders',
      'ottla dead-letters list billing orders --code E_STOCK --json',
    ],
    load: async () => (await load()).listLetters,
  },
  {
    name: 'dead-letters show',
    summary: 'Show one dead letter whole: the record as it was, where it was, and what happened.',
    detail: 'LETTER is its place in the dead-letter topic, PARTITION:OFFSET, as list prints it.',
    positionals: [...place, { name: 'LETTER' }],
    flags: [...connectionFlags, nameFlag],
    examples: ['ottla dead-letters show billing orders 0:17'],
    load: async () => (await load()).showLetter,
  },
  {
    name: 'dead-letters replay',
    summary: 'Send dead letters back to the partitions that they came from.',
    detail:
      'Shows what would be sent; --execute sends it, and marks it as replayed. Everybody who reads the topic gets these ' +
      'records once more. Without a choice: all that were not replayed yet.',
    positionals: place,
    flags: [
      ...connectionFlags,
      nameFlag,
      codeFlag,
      { name: 'letter', value: 'PARTITION:OFFSET', repeatable: true, doc: 'Only this one, as list prints it.' },
      { name: 'again', doc: 'Those too that were replayed before.' },
      { name: 'execute', doc: 'Do it.' },
    ],
    examples: [
      'ottla dead-letters replay billing orders',
      'ottla dead-letters replay billing orders --code E_STOCK --execute',
      'ottla dead-letters replay billing orders --letter 0:17 --again --execute',
    ],
    load: async () => (await load()).replayLetters,
  },
]
