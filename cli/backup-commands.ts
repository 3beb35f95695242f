/** Words and flags of `ottla backup` and `ottla restore`. */

import type { Command } from './command.ts'
import { connectionFlags } from './relay-url.ts'

export const backupCommands: readonly Command[] = [
  {
    name: 'backup',
    summary: "Copy a running relay's data, as it was in one instant, into a folder.",
    detail:
      'Topics, records, committed offsets and transactions belong together in the copy; the relay goes on meanwhile. A ' +
      'copy that was interrupted goes on when the same command is given again, within a day. At the end every batch is ' +
      'checked. The folder is a data folder: restore it, or serve it.',
    positionals: [{ name: 'FOLDER' }],
    flags: [
      ...connectionFlags,
      { name: 'restart', doc: 'Forget an interrupted copy in this folder, and begin a new one.' },
    ],
    examples: ['ottla backup ./backup-monday', 'ottla backup ./backup --url ws://127.0.0.1:8092'],
    load: async () => (await import('./backup.ts')).backup,
  },
  {
    name: 'restore',
    summary: 'Make a data folder from a backup.',
    detail: 'Checks every batch of the backup, and copies it into a folder that is empty or not there yet.',
    positionals: [{ name: 'BACKUP' }, { name: 'DIR' }],
    flags: [],
    examples: ['ottla restore ./backup-monday ./ottla-data'],
    load: async () => (await import('./restore.ts')).restore,
  },
]
