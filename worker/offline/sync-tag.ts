/** The name under which page and service worker mean the same outbox, to the browser's Background Sync. */
const PREFIX = 'ottla-outbox:'

export const syncTagOf = (replica: string): string => `${PREFIX}${replica}`
