/**
 * When a page is going: closed, left for another, or put into the page cache. There is time for what is sent at once, and for
 * nothing else. In workers and in Node there is no such event, and it is quiet.
 */
interface Scope extends Partial<Pick<EventTarget, 'addEventListener' | 'removeEventListener'>> {
  document?: unknown
}

export function onPageHide(listener: () => void, scope: Scope = globalThis as unknown as Scope): () => void {
  if (scope.document === undefined || typeof scope.addEventListener !== 'function') return () => {}
  scope.addEventListener('pagehide', listener)
  return () => scope.removeEventListener?.('pagehide', listener)
}
