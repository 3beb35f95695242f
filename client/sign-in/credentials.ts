/** What a client shows to be let in. Plain data, so that it can cross to a worker; it is kept in memory only. */
import { OttlaError } from '../errors.ts'

export interface PasswordCredentials {
  username: string
  password: string
  /** Default SCRAM-SHA-256, over which the password does not travel. PLAIN sends it as it is: only over wss://. */
  mechanism?: 'SCRAM-SHA-256' | 'SCRAM-SHA-512' | 'PLAIN'
}

export interface TokenCredentials {
  /** A JWT, as OAUTHBEARER takes it. */
  token: string
}

export type Credentials = PasswordCredentials | TokenCredentials

/** A function is asked whenever credentials are needed, also again before a session ends. */
export type CredentialsSource = Credentials | (() => Credentials | Promise<Credentials>)

export const isToken = (credentials: Credentials): credentials is TokenCredentials => 'token' in credentials

/** Throws INVALID_ARGUMENT, which names what is missing and never what is there. */
export function checkCredentials(given: Credentials): Credentials {
  const { token, username, password } = (given ?? {}) as Partial<PasswordCredentials & TokenCredentials>
  const isUsable = token === undefined ? Boolean(username && password) : token !== '' && username === undefined
  if (isUsable) return given
  const missing = token === '' ? 'the token is empty' : username ? 'the password is missing' : 'the username is missing'
  throw new OttlaError('INVALID_ARGUMENT', {
    message: `these are no credentials: ${missing}`,
    hint: 'pass auth: { username, password } or { token }',
  })
}
