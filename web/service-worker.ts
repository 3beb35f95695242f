/** The page's service worker: starts the page without a network, and sends what it left in the outbox. */
import {
  cleanupOutdatedCaches,
  createHandlerBoundToURL,
  type PrecacheEntry,
  precacheAndRoute,
} from 'workbox-precaching'
import { NavigationRoute, registerRoute } from 'workbox-routing'
import { drainOutboxOnSync, updateWhenAsked } from '../worker/offline/service-worker.ts'
import { REPLICA, relayUrl } from './relay-address.ts'

/** The files of the build, put in when it is bundled (worker/build/service-worker-plugin.ts). */
declare const __SHELL__: Array<PrecacheEntry | string>
declare const self: ServiceWorkerGlobalScope

precacheAndRoute(__SHELL__)
cleanupOutdatedCaches()
registerRoute(new NavigationRoute(createHandlerBoundToURL('/index.html'), { denylist: [/\.[a-z]+$/] }))
updateWhenAsked()
drainOutboxOnSync({ url: relayUrl(), replica: REPLICA })
self.addEventListener('activate', (event) => event.waitUntil(self.clients.claim()))
