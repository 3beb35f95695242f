/**
 * Users from a file: one `name:password` a line, the rest of the line behind the first colon; empty lines and those that
 * begin with # say nothing. Only what is made of a password is kept in memory.
 */
import type { Random } from '../../protocol/lib/random.ts'
import { ConfigError } from '../config.ts'
import { credentialFrom, ITERATIONS_MIN, SALT_BYTES, SCRAM_MECHANISMS, saltPassword } from './scram-credential.ts'
import { type Credentials, isUserName, USER_NAME_RULE } from './users.ts'

/** Throws ConfigError, which names the line and never what stands in it. */
export async function usersIn(content: string, path: string, random: Random): Promise<Map<string, Credentials>> {
  const users = new Map<string, Credentials>()
  for (const [index, line] of content.split(/\r?\n/).entries()) {
    if (line.trim() === '' || line.startsWith('#')) continue
    const colon = line.indexOf(':')
    const [name, password] = [line.slice(0, colon).trim(), line.slice(colon + 1)]
    if (colon < 0 || !isUserName(name) || password === '')
      throw new ConfigError('users-file', `line ${index + 1} of ${path}`, `NAME:PASSWORD, the name ${USER_NAME_RULE}`)
    if (users.has(name)) throw new ConfigError('users-file', `line ${index + 1} of ${path}`, 'each name once')
    users.set(name, await credentialsFor(password, random))
  }
  return users
}

async function credentialsFor(password: string, random: Random): Promise<Credentials> {
  const credentials: Credentials = {}
  for (const mechanism of SCRAM_MECHANISMS) {
    const salting = { salt: Buffer.from(random.bytes(SALT_BYTES)), iterations: ITERATIONS_MIN }
    credentials[mechanism] = credentialFrom(mechanism, await saltPassword(mechanism, password, salting), salting)
  }
  return credentials
}
