/** A seat in the page itself, for `worker: 'none'` and for browsers without workers. */
import { openCoreOf } from './open-core.ts'
import { Seat } from './seat.ts'
import { browserEnvironment } from './seat-environment.ts'

export function seatInPage(): Seat {
  return new Seat(browserEnvironment(openCoreOf))
}
