/**
 * Asks the browser to wake the service worker for what waits in the outbox: when there is a network again, with no tab open.
 *
 * Asked for when writes wait and this page may not be there to send them: there is no connection, or nobody looks at the page.
 * Where there is no Background Sync (Firefox, WebKit), or nobody registered a service worker, nothing happens and the outbox
 * is drained when a page is next opened.
 */
import type { Ottla } from '../../client/ottla.ts'
import { syncTagOf } from './sync-tag.ts'

interface SyncRegistration {
  sync?: { register(tag: string): Promise<void> }
}

/** Returns the function that ends it. */
export function askForBackgroundSync(ottla: Pick<Ottla, 'status' | 'onStatus'>): () => void {
  if (!navigator.serviceWorker) return () => {}
  let isAsked = false
  const look = () => {
    const { outbox, state, replica, writesPaused } = ottla.status
    if (outbox.pendingEntries === 0) isAsked = false
    const isAttended = state === 'live' && document.visibilityState === 'visible'
    const isWanted = outbox.pendingEntries > 0 && writesPaused === null
    if (!isWanted || isAttended || isAsked || replica === null) return
    isAsked = true
    ask(syncTagOf(replica)).catch(() => {
      // Refused, by a person or in a private window: asked again at the next change, and told by nobody's screen.
      isAsked = false
    })
  }
  // A page that is left once more is a new occasion: the browser gives up on a sync that has failed three times.
  const onHidden = () => {
    isAsked = false
    look()
  }
  const unlisten = ottla.onStatus(look)
  document.addEventListener('visibilitychange', onHidden)
  look()
  return () => {
    unlisten()
    document.removeEventListener('visibilitychange', onHidden)
  }
}

async function ask(tag: string): Promise<void> {
  const registration = (await navigator.serviceWorker.ready) as SyncRegistration
  await registration.sync?.register(tag)
}
