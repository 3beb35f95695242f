/** What runs when everything that is due in this turn of the event loop has run: sockets and files come in between. */
import type { Clock } from '../protocol/lib/clock.ts'

export function inNextTurn(clock: Clock, run: () => void): void {
  if (clock.nextTurn) clock.nextTurn(run)
  else setImmediate(run)
}

export const nextTurn = (clock: Clock): Promise<void> => new Promise((resolve) => inNextTurn(clock, resolve))
