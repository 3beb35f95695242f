/** Words and flags of `npm start`: those of `ottla serve`, and how the flights are replayed. */

import type { Command } from '../../cli/command.ts'
import { serveCommand } from '../../cli/serve-command.ts'

export const demoCommand: Command = {
  name: 'demo',
  summary: 'Run a relay and replay 3,000,000 flights of 2001 into it.',
  detail:
    'Called by npm start; flags follow two dashes: npm start -- --speed 600. Ctrl-C stops; the next start goes on ' +
    'exactly where this one stopped. All flags of ottla serve are understood as well.',
  positionals: [],
  flags: [
    { name: 'speed', value: 'FACTOR', doc: 'How many times faster than in 2001, or max.', default: '1200' },
    { name: 'loop', doc: 'Begin again after the last flight.' },
    { name: 'topic', value: 'NAME', doc: 'Topic to write to.', default: 'flights' },
    { name: 'partitions', value: 'N', doc: 'Partitions of that topic when it is created.', default: '3' },
    ...serveCommand.flags,
  ],
  examples: ['npm start', 'npm start -- --speed 60 --http-port 0', 'npm start -- --speed max --data /tmp/flights'],
  load: async () => (await import('./demo.ts')).demo,
}
