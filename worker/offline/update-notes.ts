/** What a page says to a service worker that waits. The first is workbox's own word for it. */
export const APPLY = 'SKIP_WAITING'
export const APPLY_IF_ALONE = 'OTTLA_APPLY_IF_ALONE'
