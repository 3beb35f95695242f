/**
 * Who is signed in, and whose records this device keeps.
 *
 * Invariant: one replica belongs to one user. The name of whoever has signed in is remembered with it, and nobody else gets in
 * until that one has signed out, which empties it: so nobody's unsent writes are ever sent as another's.
 */
import type { Status } from '../client/core.ts'
import { OttlaError } from '../client/errors.ts'
import type { Ottla } from '../client/ottla.ts'
import { relayError } from '../client/relay-errors.ts'
import { type Credentials, checkCredentials, isToken } from '../client/sign-in/credentials.ts'

const OWNER_KEY = 'ottla-page:user'
/** A refusal that looks like the one before is told by nothing else. */
const REFUSED_AGAIN_MS = 4_000
const ANSWER_MS_MAX = 15_000

export function owner(): string | null {
  try {
    return localStorage.getItem(OWNER_KEY)
  } catch {
    // Where nothing may be stored, nothing of anybody is kept.
    return null
  }
}

/** Resolves when the relay has let this page in. Rejects INVALID_ARGUMENT, NEEDS_AUTH with its reason, DISCONNECTED. */
export async function signIn(ottla: Ottla, credentials: Credentials): Promise<void> {
  const name = nameOf(checkCredentials(credentials))
  const former = owner()
  if (former !== null && former !== name) {
    throw new OttlaError('INVALID_ARGUMENT', {
      message: `this device keeps what ${former} has read and written`,
      hint: `sign ${former} out first, on the screen Connection`,
    })
  }
  await ottla.reauthenticate(credentials)
  await answered(ottla)
  localStorage.setItem(OWNER_KEY, name)
}

/** Empties what is kept here of whoever was signed in. Rejects UNSENT_WRITES unless they are to be discarded. */
export async function signOut(ottla: Ottla, pending: 'refuse' | 'discard'): Promise<void> {
  await ottla.logout({ pending })
  localStorage.removeItem(OWNER_KEY)
}

function answered(ottla: Ottla): Promise<void> {
  return new Promise((resolve, reject) => {
    let hasTried = false
    const look = ({ state, connection }: Status) => {
      if (state === 'live' || state === 'catching-up') stop(resolve)
      else if (state === 'needs-auth' && hasTried) stop(() => reject(refusalIn(connection)))
      else if (state !== 'needs-auth') hasTried = true
    }
    const again = setTimeout(() => {
      hasTried = true
      look(ottla.status)
    }, REFUSED_AGAIN_MS)
    const end = setTimeout(() => {
      const hint = 'what you typed is tried when the relay is there; until then this device works offline'
      stop(() => reject(new OttlaError('DISCONNECTED', { message: 'the relay does not answer', hint })))
    }, ANSWER_MS_MAX)
    const unlisten = ottla.onStatus(look)
    const stop = (settle: () => void) => {
      clearTimeout(again)
      clearTimeout(end)
      unlisten()
      settle()
    }
    look(ottla.status)
  })
}

function refusalIn(connection: Status['connection']): OttlaError {
  const error = 'error' in connection ? connection.error : null
  return error ? OttlaError.fromInfo(error) : relayError('NEEDS_AUTH', { message: 'the relay did not let you in' })
}

/** Of a token: its subject. One that cannot be read is its own name; the relay says what is wrong with it. */
function nameOf(credentials: Credentials): string {
  if (!isToken(credentials)) return credentials.username
  try {
    const [, payload = ''] = credentials.token.split('.')
    const { sub } = JSON.parse(atob(payload.replaceAll('-', '+').replaceAll('_', '/'))) as { sub?: unknown }
    if (typeof sub === 'string' && sub !== '') return sub
  } catch {
    // No JWT.
  }
  return 'the holder of a token'
}
