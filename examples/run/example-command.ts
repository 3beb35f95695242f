/** Words and flags of `npm run example`: a name, and those of `ottla serve`. */

import type { Command } from '../../cli/command.ts'
import { serveCommand } from '../../cli/serve-command.ts'
import { EXAMPLES } from './catalog.ts'

export const exampleCommand: Command = {
  name: 'example',
  summary: 'Run a relay that serves one of the example applications.',
  detail:
    `Called by npm run example; NAME is one of ${EXAMPLES.map(({ name }) => name).join(', ')}. Each has a port and a data ` +
    'folder of its own (example-data/NAME). Flags of ottla serve follow two dashes: npm run example -- field-notes ' +
    '--http-port 9000. Ctrl-C stops.',
  positionals: [{ name: 'NAME' }],
  flags: serveCommand.flags,
  examples: ['npm run example -- field-notes'],
  load: async () => (await import('./example.ts')).example,
}
