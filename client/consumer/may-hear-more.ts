import type { Core } from '../core.ts'

/** Does waiting make sense: is the relay there, or is the first attempt to reach it still under way? */
export function mayHearMore(core: Core): boolean {
  const { connection } = core.status()
  return connection.phase === 'live' || (connection.phase === 'connecting' && connection.attempt === 1)
}
