/** A dedicated worker's side: its page hands it a port for each attempt to attach. */
import { asNote, type SeatPortNote } from './contract.ts'
import type { Seat } from './seat.ts'

/** The part of DedicatedWorkerGlobalScope that is used. */
export interface DedicatedScope {
  addEventListener(type: 'message', heard: (event: MessageEvent) => void): void
}

export function serveDedicated(scope: DedicatedScope, seat: Seat): void {
  scope.addEventListener('message', (event) => {
    const note = asNote<SeatPortNote>(event.data)
    if (note?.ottla === 'port') seat.attach(note.port)
  })
}
