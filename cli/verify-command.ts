/** Words and flags of `ottla verify`. */

import type { Command } from './command.ts'

export const verifyCommand: Command = {
  name: 'verify',
  summary: "Check a stopped relay's data folder and report every inconsistency.",
  detail:
    'Reads every batch of every partition, compares checksums, offsets and indexes, and changes nothing. ' +
    'Exit code 0: sound; 1: something is wrong.',
  positionals: [{ name: 'DIR' }],
  flags: [],
  examples: ['ottla verify ./ottla-data', 'ottla verify ./ottla-data --json'],
  load: async () => (await import('./verify.ts')).verify,
}
