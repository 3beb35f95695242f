/**
 * Which kind of worker a page uses.
 *
 * 'auto' takes a SharedWorker (one connection for all tabs and no election), else a dedicated worker with a leader
 * elected by Web Locks, else the page itself. A script of another origin can't be a SharedWorker.
 */
import { OttlaError } from '../client/errors.ts'
import type { SeatKind } from './spawn.ts'

export type WorkerChoice = 'auto' | 'shared' | 'dedicated' | 'none'

/** Throws UNSUPPORTED where what is asked for cannot be had. `url`: the worker's script. */
export function chooseSeat(choice: WorkerChoice, url: URL): SeatKind {
  if (choice === 'auto') return bestKind(url)
  if (choice === 'none') return 'page'
  if (choice === 'shared' && typeof SharedWorker === 'undefined') {
    throw missing('SharedWorker', "worker: 'auto' or 'dedicated'")
  }
  // Without an election every tab would lead, and each would take the replica from the other.
  if (choice === 'dedicated' && !hasLocks()) throw missing('Web Locks', 'https or localhost')
  return choice
}

function bestKind(url: URL): SeatKind {
  const isSameOrigin = url.origin === location.origin
  if (typeof SharedWorker !== 'undefined' && isSameOrigin) return 'shared'
  return typeof Worker !== 'undefined' && hasLocks() ? 'dedicated' : 'page'
}

const hasLocks = () => (navigator as Partial<Navigator>).locks !== undefined

function missing(what: string, remedy: string): OttlaError {
  return new OttlaError('UNSUPPORTED', { message: `this browser offers no ${what} here`, hint: `use ${remedy}` })
}
