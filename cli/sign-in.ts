/**
 * As whom a command signs in: `--user` and `--password-file`, or `--token-file`, else OTTLA_USER, OTTLA_PASSWORD and
 * OTTLA_TOKEN. A secret is never an argument, since every account of a machine can list those.
 */
import { readFile } from 'node:fs/promises'
import type { Credentials, PasswordCredentials } from '../client/node.ts'
import { type Flag, type Invocation, textFlag, UsageError } from './command.ts'

const MECHANISMS: ReadonlyArray<NonNullable<PasswordCredentials['mechanism']>> = [
  'SCRAM-SHA-256',
  'SCRAM-SHA-512',
  'PLAIN',
]

export const signInFlags: readonly Flag[] = [
  { name: 'user', value: 'NAME', doc: 'Who signs in, where the relay asks for it. [OTTLA_USER]' },
  { name: 'password-file', value: 'FILE', doc: "File with the user's password. [the password itself: OTTLA_PASSWORD]" },
  { name: 'mechanism', value: 'NAME', doc: 'SCRAM-SHA-256, SCRAM-SHA-512 or PLAIN.', default: MECHANISMS[0] },
  {
    name: 'token-file',
    value: 'FILE',
    doc: 'File with a token to sign in with instead. [the token itself: OTTLA_TOKEN]',
  },
]

/** Nothing when nobody is named. @throws UsageError for half of it. */
export async function credentialsOf(invocation: Invocation): Promise<Credentials | undefined> {
  const { environment } = invocation
  const tokenFile = textFlag(invocation, 'token-file')
  const username = textFlag(invocation, 'user') ?? (environment.OTTLA_USER || undefined)
  const token = tokenFile === undefined ? environment.OTTLA_TOKEN : await secretIn(tokenFile)
  if (tokenFile !== undefined || (token && username === undefined)) return { token: token! }
  const passwordFile = textFlag(invocation, 'password-file')
  if (username === undefined) {
    if (passwordFile !== undefined) throw new UsageError('--password-file: whose? Give --user too')
    return undefined
  }
  const password = passwordFile === undefined ? environment.OTTLA_PASSWORD : await secretIn(passwordFile)
  if (!password) throw new UsageError('--user: the password is missing; give --password-file, or set OTTLA_PASSWORD')
  return { username, password, mechanism: mechanismOf(invocation) }
}

function mechanismOf(invocation: Invocation): PasswordCredentials['mechanism'] {
  const wanted = textFlag(invocation, 'mechanism')
  const found = MECHANISMS.find((name) => name === (wanted ?? MECHANISMS[0]))
  if (!found) throw new UsageError(`--mechanism: '${wanted}' is not allowed; use ${MECHANISMS.join(', ')}`)
  return found
}

/** The first line; a file that an editor made ends with a newline. */
async function secretIn(path: string): Promise<string> {
  const [line] = (await readFile(path, 'utf8')).split(/\r?\n/, 1)
  if (!line) throw new UsageError(`${path}: its first line is empty`)
  return line
}
