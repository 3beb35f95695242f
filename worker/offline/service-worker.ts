/**
 * For an application's own service worker (`ottla/service-worker`): what it needs besides the shell that it caches.
 *
 *     drainOutboxOnSync({ url: 'wss://logs.example.org', replica: 'shop' })
 *     updateWhenAsked()
 *
 * Records never go through a service worker's `fetch`: they are in the replica.
 */
import { type DrainOptions, drainOutbox } from './drain.ts'
import { syncTagOf } from './sync-tag.ts'
import { APPLY, APPLY_IF_ALONE } from './update-notes.ts'

export { type DrainOptions, drainOutbox } from './drain.ts'

/** The parts of ServiceWorkerGlobalScope that are used. */
export interface ServiceWorkerScope {
  addEventListener(type: 'sync', heard: (event: SyncEvent) => void): void
  addEventListener(type: 'message', heard: (event: MessageEvent) => void): void
  skipWaiting(): Promise<void>
  clients: { matchAll(options: { type: 'window'; includeUncontrolled: boolean }): Promise<readonly unknown[]> }
}

export interface SyncEvent {
  readonly tag: string
  waitUntil(work: Promise<unknown>): void
}

const ownScope = () => globalThis as unknown as ServiceWorkerScope

/** Sends what waits in the outbox when the browser has a network again. One call for each replica. */
export function drainOutboxOnSync(options: DrainOptions, scope: ServiceWorkerScope = ownScope()): void {
  scope.addEventListener('sync', (event) => {
    // One that rejects is tried again by the browser, later each time.
    if (event.tag === syncTagOf(options.replica)) event.waitUntil(drainOutbox(options))
  })
}

/** Lets this version take over when a page says so (`registerServiceWorker` of ottla/offline), never by itself. */
export function updateWhenAsked(scope: ServiceWorkerScope = ownScope()): void {
  scope.addEventListener('message', ({ data, ports }) => {
    const type = (data as { type?: unknown } | null)?.type
    if (type === APPLY) void scope.skipWaiting()
    if (type === APPLY_IF_ALONE) void applyIfAlone(scope, ports[0])
  })
}

/** No other tab runs the version that this one replaces. */
async function applyIfAlone(scope: ServiceWorkerScope, asker: MessagePort | undefined): Promise<void> {
  const tabs = await scope.clients.matchAll({ type: 'window', includeUncontrolled: true })
  const isAlone = tabs.length <= 1
  asker?.postMessage(isAlone)
  if (isAlone) await scope.skipWaiting()
}
