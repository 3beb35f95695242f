/** Which relay, and which database on this device: the same for the page and for its service worker. */
export const REPLICA = 'editor'

/** The relay that serves this page. */
export const relayUrl = (): string => `${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}`
