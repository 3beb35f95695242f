/** For pages that start and work without a network (`ottla/offline`). The service worker's side: service-worker.ts. */
export { recordsOf } from '../../client/outbox/exported-records.ts'
export { askForBackgroundSync } from './background-sync.ts'
export { type Draft, keepDraft } from './drafts.ts'
export { type RegisterOptions, registerServiceWorker, type Update } from './register.ts'
