/**
 * A connection for the length of one command.
 *
 * `connect` without a replica fails when the first attempt fails, which is what a shell user wants: one line, at once.
 * Once connected, the client's own patience holds: a relay that restarts is waited for.
 */

import { connect, type Ottla, OttlaError } from '../client/node.ts'
import type { Invocation } from './command.ts'
import { relayUrl } from './relay-url.ts'
import { credentialsOf } from './sign-in.ts'

export class ConnectError extends Error {
  readonly code: string = 'CONNECT_FAILED'
  readonly hint?: string

  constructor(url: string, cause: unknown) {
    const reason = reasonOf(cause)
    const refused = /ECONNREFUSED/.test(reason)
    const isStranger = cause instanceof OttlaError && cause.code === 'NEEDS_AUTH'
    const what = isStranger ? 'not signed in to' : 'cannot reach'
    super(`${what} a relay at ${url}: ${refused ? 'connection refused' : reason}`, { cause })
    this.name = 'ConnectError'
    if (isStranger) {
      this.code = 'NEEDS_AUTH'
      this.hint = 'give --user and --password-file, or OTTLA_USER and OTTLA_PASSWORD'
    }
    if (refused) this.hint = "start one with 'ottla serve', or give --url"
  }
}

/** Connects, works, disconnects; Ctrl-C meanwhile still disconnects in order. */
export async function withRelay<T>(invocation: Invocation, work: (ottla: Ottla) => Promise<T>): Promise<T> {
  const url = relayUrl(invocation)
  const auth = await credentialsOf(invocation)
  const { signal } = invocation
  const ottla = await connect(url, { clientId: 'ottla-cli', signal, auth }).catch((cause: unknown) => {
    throw new ConnectError(url, cause)
  })
  try {
    return await work(ottla)
  } finally {
    await ottla.close()
  }
}

/** The innermost cause knows what really happened. */
function reasonOf(error: unknown): string {
  let innermost = error
  while (innermost instanceof Error && innermost.cause instanceof Error) innermost = innermost.cause
  const { code } = innermost as NodeJS.ErrnoException
  const message = error instanceof Error ? error.message : String(error)
  return typeof code === 'string' && !message.includes(code) && /^E[A-Z]+$/.test(code)
    ? `${message} (${code})`
    : message
}
