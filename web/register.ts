/**
 * Registers the service worker and asks before an update takes over.
 *
 * A new version waits; only a person's yes lets it in, and only then is the page loaded again. Other tabs that
 * see the change of controller keep running the code they have: they offer to reload, they do not.
 */
import { Workbox } from 'workbox-window'

export interface UpdateMessages {
  readyOffline(): void
  /** `apply` lets the new version in and reloads. */
  updateReady(apply: () => void): void
}

const UPDATE_CHECK_MS = 30 * 60_000

export function registerServiceWorker(messages: UpdateMessages): void {
  if (!('serviceWorker' in navigator)) return
  const workbox = new Workbox('/service-worker.js')
  let accepted = false
  workbox.addEventListener('activated', (event) => {
    if (!event.isUpdate) messages.readyOffline()
  })
  const ask = () =>
    messages.updateReady(() => {
      accepted = true
      workbox.messageSkipWaiting()
    })
  workbox.addEventListener('waiting', ask)
  workbox.addEventListener('controlling', (event) => {
    if (accepted) location.reload()
    else if (event.isUpdate) messages.updateReady(() => location.reload())
  })
  workbox.register().catch((error: unknown) => {
    // Without it the page still works online; a private window is the usual reason.
    console.info('The page will not start offline:', error)
  })
  const check = () => {
    if (document.visibilityState === 'visible' && navigator.onLine) workbox.update().catch(() => {})
  }
  setInterval(check, UPDATE_CHECK_MS)
  document.addEventListener('visibilitychange', check)
}
