/** Words and flags of `ottla user`: who may sign in, where the relay or the Kafka keeps users. */
import type { Command } from './command.ts'
import { connectionFlags } from './relay-url.ts'

const load = () => import('./user.ts')

export const userCommands: readonly Command[] = [
  {
    name: 'user list',
    summary: 'Show users that were made, without those of the users file.',
    positionals: [],
    flags: [...connectionFlags],
    examples: ['ottla user list --user admin --password-file admin.txt'],
    load: async () => (await load()).listUsers,
  },
  {
    name: 'user add',
    summary: 'Make a user that signs in by password, or give one another password.',
    detail:
      'The password is the first line of standard input, or of --new-password-file. It is salted here and never sent. ' +
      'Sessions that are signed in stay so.',
    positionals: [{ name: 'NAME' }],
    flags: [
      ...connectionFlags,
      { name: 'new-password-file', value: 'FILE', doc: 'Where the password is.', default: 'standard input' },
      { name: 'iterations', value: 'N', doc: 'Rounds of hashing, 4096 to 16384.', default: '8192' },
    ],
    examples: ['ottla user add ada < password.txt', 'ottla user add ada --new-password-file password.txt'],
    load: async () => (await load()).addUser,
  },
  {
    name: 'user remove',
    summary: 'Take users away. Their connections are closed.',
    positionals: [{ name: 'NAME', repeatable: true }],
    flags: [...connectionFlags],
    examples: ['ottla user remove ada'],
    load: async () => (await load()).removeUsers,
  },
]
