/** Waiting for a connection rather than fail while there is none. */
import { abortError } from './abort-error.ts'
import { OttlaError } from './errors.ts'
import type { Session } from './session.ts'

/** Runs `act` as soon as the session is live, and again when the connection is lost in the middle. */
export async function whenLive<T>(session: Session, signal: AbortSignal, act: () => Promise<T>): Promise<T> {
  for (;;) {
    await untilLive(session, signal)
    try {
      return await act()
    } catch (error) {
      if (session.state.phase === 'live' || signal.aborted || session.state.phase === 'closed') throw error
    }
  }
}

/** Rejects when the session is closed for good, or the signal aborts. */
export function untilLive(session: Session, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const look = () => {
      if (session.state.phase === 'live') stop(resolve)
      else if (session.state.phase === 'closed' || signal.aborted) stop(() => reject(closedReason(session, signal)))
    }
    const stop = (settle: () => void) => {
      unlisten()
      signal.removeEventListener('abort', look)
      settle()
    }
    const unlisten = session.onState(look)
    signal.addEventListener('abort', look)
    look()
  })
}

function closedReason(session: Session, signal: AbortSignal): OttlaError {
  if (signal.aborted) return abortError('waiting for the relay', signal)
  const { state } = session
  const why = state.phase === 'closed' && state.error ? `: ${state.error.message}` : ''
  return new OttlaError('CLOSED', { message: `the connection is closed for good${why}` })
}
