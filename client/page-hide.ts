/**
 * When a page is going: closed, left for another, or put into the page cache. There is time for what is sent at once, and for
 * nothing else. In workers and in Node there are no such events, and it is quiet.
 */
import { isChromium } from './is-chromium.ts'

interface Scope extends Partial<Pick<EventTarget, 'addEventListener' | 'removeEventListener'>> {
  document?: unknown
}

export function onPageHide(listener: () => void, scope: Scope = globalThis as unknown as Scope): () => void {
  if (scope.document === undefined || typeof scope.addEventListener !== 'function') return () => {}
  scope.addEventListener('pagehide', listener)
  return () => scope.removeEventListener?.('pagehide', listener)
}

/**
 * When it is going, or is not looked at any more; before it lets go of its worker. A tab of Chromium that is closed hears
 * nothing but `beforeunload` for sure, which elsewhere would keep the page out of the page cache.
 */
export function onPageHidden(listener: () => void, page: Window | undefined = globalThis.window): () => void {
  if (!page) return () => {}
  const over = new AbortController()
  const { signal } = over
  if (isChromium()) page.addEventListener('beforeunload', listener, { signal })
  page.addEventListener('pagehide', listener, { capture: true, signal })
  page.document.addEventListener('visibilitychange', listener, { signal })
  return () => over.abort()
}
