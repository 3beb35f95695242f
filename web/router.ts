/**
 * Screens by URL hash: `#/topics/flights?from=100`. The hash needs no server, so deep links start offline too.
 *
 * A screen is mounted with a signal that fires when it leaves; nothing of it may live longer.
 */
import { listen } from './dom.ts'

export interface Route {
  screen: string
  /** The rest of the path, decoded: `#/topics/a%2Fb` -> ['a/b']. */
  path: string[]
  query: URLSearchParams
}

export function readRoute(hash: string, home: string): Route {
  const [path = '', query = ''] = hash.replace(/^#?\/?/, '').split('?', 2)
  const parts = path.split('/').filter(Boolean).map(decodeOrKeep)
  return { screen: parts[0] ?? home, path: parts.slice(1), query: new URLSearchParams(query) }
}

export function linkTo(screen: string, ...path: string[]): string {
  return `#/${[screen, ...path].map(encodeURIComponent).join('/')}`
}

/** Calls `show` for the present hash and after every change, until the signal fires. */
export function startRouter(home: string, show: (route: Route, left: AbortSignal) => void, until: AbortSignal): void {
  let leave = new AbortController()
  const go = () => {
    leave.abort()
    leave = new AbortController()
    show(readRoute(location.hash, home), leave.signal)
  }
  listen(window, 'hashchange', go, until)
  until.addEventListener('abort', () => leave.abort(), { once: true })
  go()
}

// A hand-typed address may hold a stray percent sign; showing it beats failing.
function decodeOrKeep(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    return part
  }
}
