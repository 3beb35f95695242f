/**
 * Which kind of worker a page uses, and what it needs for it.
 *
 * 'auto' takes a SharedWorker (one connection for all tabs and no election), else a dedicated worker with a leader
 * elected by Web Locks, else the page itself. A script of another origin can't be a SharedWorker.
 */
import { OttlaError } from '../client/errors.ts'
import { dedicatedSpawner, pageSpawner, type Spawner, sharedSpawner } from './spawn.ts'

export type WorkerChoice = 'auto' | 'shared' | 'dedicated' | 'none'

export interface SeatLoader {
  /** The worker's script. */
  url: URL
  replica: string
  /** Loads the seat that runs in the page. */
  loadInPage(): Promise<{ attach(port: MessagePort): void }>
}

export function chooseSpawner(choice: WorkerChoice, loader: SeatLoader): Spawner {
  const kind = choice === 'auto' ? bestKind(loader.url) : choice
  if (kind === 'shared') {
    if (typeof SharedWorker === 'undefined') throw missing('SharedWorker', "worker: 'auto' or 'dedicated'")
    return sharedSpawner(loader.url, loader.replica)
  }
  if (kind === 'dedicated') {
    // Without an election every tab would lead, and each would take the replica from the other.
    if (!hasLocks()) throw missing('Web Locks', 'https or localhost, where browsers have them')
    return dedicatedSpawner(loader.url, loader.replica)
  }
  return pageSpawner(loader.loadInPage)
}

function bestKind(url: URL): Exclude<WorkerChoice, 'auto'> {
  const isSameOrigin = url.origin === location.origin
  if (typeof SharedWorker !== 'undefined' && isSameOrigin) return 'shared'
  return typeof Worker !== 'undefined' && hasLocks() ? 'dedicated' : 'none'
}

const hasLocks = () => (navigator as Partial<Navigator>).locks !== undefined

function missing(what: string, remedy: string): OttlaError {
  return new OttlaError('UNSUPPORTED', { message: `this browser offers no ${what} here`, hint: `use ${remedy}` })
}
