/**
 * Wake-ups of a page or a worker, from the platform's events. In Node and edge runtimes there are none and it is quiet.
 *
 * A tab that comes back from the page cache or from sleep may hold a socket that died unseen: `pageshow` and
 * `visibilitychange` are when to ask.
 */
import type { WakeUps } from './wake-ups.ts'

interface Scope extends EventTarget {
  document?: EventTarget & { visibilityState: string }
}

export function browserWakeUps(scope: Scope = globalThis as unknown as Scope): WakeUps {
  return {
    listen(wake) {
      if (typeof scope.addEventListener !== 'function') return () => {}
      const page = scope.document
      const onVisibility = () => {
        if (page?.visibilityState === 'visible') wake()
      }
      scope.addEventListener('online', wake)
      scope.addEventListener('pageshow', wake)
      page?.addEventListener('visibilitychange', onVisibility)
      return () => {
        scope.removeEventListener('online', wake)
        scope.removeEventListener('pageshow', wake)
        page?.removeEventListener('visibilitychange', onVisibility)
      }
    },
  }
}
