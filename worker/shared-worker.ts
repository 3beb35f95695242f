/** A SharedWorker's side: every page that connects brings a port. */
import type { Seat } from './seat.ts'

/** The part of SharedWorkerGlobalScope that is used. */
export interface SharedScope {
  addEventListener(type: 'connect', heard: (event: MessageEvent) => void): void
}

export function serveShared(scope: SharedScope, seat: Seat): void {
  scope.addEventListener('connect', (event) => {
    for (const port of event.ports) seat.attach(port)
  })
}
