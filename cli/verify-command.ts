/** Words and flags of `ottla verify`. */

import type { Command } from './command.ts'

export const verifyCommand: Command = {
  name: 'verify',
  summary: "Check a stopped relay's data folder, report every inconsistency, repair it on demand.",
  detail:
    'Reads every batch of every partition, compares checksums, offsets and indexes, and changes nothing. ' +
    'Exit code 0: sound; 1: something is wrong.\n' +
    'With --repair it says what it would do, step by step, and asks. Every batch that can be read stays where it is, ' +
    'under its offset; the offsets of others become a hole, and are told. What is taken away is kept in ' +
    'DIR/quarantine. Then it verifies.',
  positionals: [{ name: 'DIR' }],
  flags: [
    { name: 'repair', doc: 'Make the folder whole again, as far as it can be.' },
    { name: 'dry-run', doc: 'With --repair: only say the steps. Exit code 1 when there are any.' },
    { name: 'yes', doc: 'With --repair: do not ask.' },
  ],
  examples: [
    'ottla verify ./ottla-data',
    'ottla verify ./ottla-data --json',
    'ottla verify ./ottla-data --repair --dry-run',
    'ottla verify ./ottla-data --repair --yes',
  ],
  load: async () => (await import('./verify.ts')).verify,
}
