/** Starts the editor without a network, lets updates wait, and sends what was typed when no tab is open. */
import { drainOutboxOnSync, updateWhenAsked } from 'ottla/service-worker'
import {
  cleanupOutdatedCaches,
  createHandlerBoundToURL,
  type PrecacheEntry,
  precacheAndRoute,
} from 'workbox-precaching'
import { NavigationRoute, registerRoute } from 'workbox-routing'
import { REPLICA, relayUrl } from './address.ts'

/** The files of the build, put in when it is bundled. */
declare const __SHELL__: Array<PrecacheEntry | string>
declare const self: ServiceWorkerGlobalScope

precacheAndRoute(__SHELL__)
cleanupOutdatedCaches()
registerRoute(new NavigationRoute(createHandlerBoundToURL('index.html')))
updateWhenAsked()
drainOutboxOnSync({ url: relayUrl(), replica: REPLICA })
self.addEventListener('activate', (event) => event.waitUntil(self.clients.claim()))
