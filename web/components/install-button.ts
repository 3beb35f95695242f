/** Offers to install the page as an app, only when the browser says that it can. */
import { h, listen } from '../dom.ts'

interface InstallPrompt extends Event {
  prompt(): Promise<unknown>
}

let kept: InstallPrompt | null = null

/** Call once at start: the browser makes its offer only once, maybe before the button's screen is shown. */
export function catchInstallOffer(until: AbortSignal): void {
  listen(
    window,
    'beforeinstallprompt' as keyof WindowEventMap,
    (event) => {
      event.preventDefault()
      kept = event as InstallPrompt
      document.dispatchEvent(new Event('ottla-installable'))
    },
    until,
  )
}

export function installButton(until: AbortSignal): HTMLElement {
  const install = async () => {
    button.hidden = true
    await kept?.prompt()
    kept = null
  }
  const button = h(
    'button',
    { type: 'button', hidden: kept === null, onclick: () => void install() },
    'Install as an app',
  )
  listen(
    document,
    'ottla-installable' as keyof WindowEventMap,
    () => {
      button.hidden = false
    },
    until,
  )
  return button
}
