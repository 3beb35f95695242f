/**
 * Which web pages may connect. A browser sends the Origin of its page with every upgrade and cannot be made to lie, so
 * this is what keeps a foreign page from using a visitor's reach (cross-site WebSocket hijacking).
 *
 * Scheme, host and port must match exactly. Programs that are no browsers send no Origin and are let in here.
 */
export interface OriginPolicy {
  /** Origins that are allowed, or `*` for all. */
  allowed: readonly string[]
  /** The relay's own addresses, whose pages it serves itself. */
  own(): readonly string[]
}

export function isOriginAllowed(origin: string | undefined, policy: OriginPolicy): boolean {
  if (origin === undefined) return true
  if (policy.allowed.includes('*')) return true
  const asked = normalise(origin)
  // A browser writes an origin in exactly one way; whatever else means the same was not written by one.
  if (asked === undefined || asked !== origin) return false
  return [...policy.allowed, ...policy.own()].some((allowed) => normalise(allowed) === asked)
}

/** `null` (a sandboxed frame, a file) and everything that is not a plain http origin is none. */
function normalise(origin: string): string | undefined {
  let url: URL
  try {
    url = new URL(origin)
  } catch {
    return undefined
  }
  const isPlain =
    url.username === '' && url.password === '' && url.pathname === '/' && url.search === '' && url.hash === ''
  if (!isPlain || (url.protocol !== 'http:' && url.protocol !== 'https:')) return undefined
  return url.origin
}
