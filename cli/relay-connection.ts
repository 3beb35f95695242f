/**
 * A connection for the length of one command.
 *
 * The client would go on trying for ever; a command wants to know at once. So the first failure to connect ends it,
 * with one line. Once connected, the client's own patience holds: a relay that restarts is waited for.
 */

import { connect, type Ottla } from '../client/index.ts'
import type { Invocation } from './command.ts'
import { relayUrl } from './relay-url.ts'

export class ConnectError extends Error {
  readonly code = 'CONNECT_FAILED'
  readonly hint?: string

  constructor(url: string, reason: string) {
    const refused = /ECONNREFUSED/.test(reason)
    super(`cannot reach a relay at ${url}: ${refused ? 'connection refused' : reason}`)
    this.name = 'ConnectError'
    if (refused) this.hint = "start one with 'ottla serve', or give --url"
  }
}

/** Connects, works, disconnects; Ctrl-C meanwhile still disconnects in order. */
export async function withRelay<T>(invocation: Invocation, work: (ottla: Ottla) => Promise<T>): Promise<T> {
  const url = relayUrl(invocation)
  const ottla = await connect(url)
  try {
    await connected(ottla, url, invocation.signal)
    return await work(ottla)
  } finally {
    await ottla.close()
  }
}

function connected(ottla: Ottla, url: string, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      unsubscribe()
      signal.removeEventListener('abort', onAbort)
    }
    const look = () => {
      const { connection } = ottla.status
      if (connection.phase === 'connecting') return false
      if (connection.phase === 'live') resolve()
      else reject(new ConnectError(url, connection.error?.message ?? 'the connection was closed'))
      return true
    }
    const onAbort = () => {
      stop()
      reject(signal.reason)
    }
    const unsubscribe = ottla.onStatus(() => {
      if (look()) stop()
    })
    signal.addEventListener('abort', onAbort, { once: true })
    if (look()) stop()
  })
}
