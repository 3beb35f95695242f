/** Which relay, and which database on this device: the same for the page and for its service worker. */
export const REPLICA = 'ottla-page'

/** The relay that served the page. */
export function relayUrl(): string {
  return `${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}`
}
