/**
 * Registers a service worker, and sees to it that an update never takes a form away.
 *
 * Invariants: a new version waits until a person lets it in, or until it costs nobody anything: this is the only tab, it has
 * just been opened, and nothing in it is unsaved. A page is loaded again only by its person's yes, or while nobody looks at it
 * and nothing in it is unsaved. Other tabs that see the change go on with the code they have, and are told.
 */
import { Workbox } from 'workbox-window'
import { APPLY_IF_ALONE } from './update-notes.ts'

export interface Update {
  /** Another tab has let the new version in: what this page has not loaded yet may not be there any more. */
  isApplied: boolean
  /** Lets the new version in where it is not yet, and loads this page again. */
  apply(): void
}

export interface RegisterOptions {
  /** Default: `service-worker.js` beside the page. Its `updateWhenAsked()` is the other half of this. */
  url?: string
  /** Called when there is one, and again when another tab has let it in. */
  onUpdate(update: Update): void
  /** The first version is in place: from now on the page starts without a network. */
  onOfflineReady?(): void
  /** Whether loading the page again now would lose something. Without it no page is ever loaded again by itself. */
  hasUnsavedWork?(): boolean
  /** How often a page that is looked at asks for a new version. Default 30 minutes. */
  checkEveryMs?: number
}

const ANSWER_MS_MAX = 1_000

/** Resolves when it is registered, or cannot be: then the page works, and does not start offline. */
export async function registerServiceWorker(options: RegisterOptions): Promise<ServiceWorkerRegistration | undefined> {
  if (!navigator.serviceWorker) return undefined
  const { url = 'service-worker.js', onUpdate, onOfflineReady, hasUnsavedWork = () => true } = options
  const workbox = new Workbox(url)
  let [isAccepted, isOutdated] = [false, false]

  workbox.addEventListener('activated', ({ isUpdate }) => {
    if (!isUpdate) onOfflineReady?.()
  })
  workbox.addEventListener('waiting', async ({ sw, wasWaitingBeforeRegister }) => {
    if (wasWaitingBeforeRegister && !hasUnsavedWork()) {
      isAccepted = await appliesAlone(sw)
      if (isAccepted) return
    }
    onUpdate({
      isApplied: false,
      apply() {
        isAccepted = true
        workbox.messageSkipWaiting()
      },
    })
  })
  workbox.addEventListener('controlling', ({ isUpdate }) => {
    if (isAccepted) return location.reload()
    if (!isUpdate) return
    isOutdated = true
    onUpdate({ isApplied: true, apply: () => location.reload() })
  })
  document.addEventListener('visibilitychange', () => {
    if (document.visibilityState === 'hidden' && isOutdated && !hasUnsavedWork()) location.reload()
  })
  checkRegularly(workbox, options.checkEveryMs ?? 30 * 60_000)
  try {
    return await workbox.register()
  } catch (error) {
    // A private window is the usual reason.
    console.info('The page will not start offline:', error)
    return undefined
  }
}

/** False also when a worker that knows no such question does not answer. */
function appliesAlone(waiting: ServiceWorker | undefined): Promise<boolean> {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel()
    const end = (isAlone: boolean) => {
      clearTimeout(timer)
      port1.close()
      resolve(isAlone)
    }
    const timer = setTimeout(() => end(false), ANSWER_MS_MAX)
    port1.onmessage = ({ data }) => end(data === true)
    waiting?.postMessage({ type: APPLY_IF_ALONE }, [port2])
  })
}

function checkRegularly(workbox: Workbox, everyMs: number): void {
  const check = () => {
    if (document.visibilityState === 'visible' && navigator.onLine) workbox.update().catch(() => {})
  }
  setInterval(check, everyMs)
  document.addEventListener('visibilitychange', check)
}
