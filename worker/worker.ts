/**
 * The worker's script, for SharedWorker and Worker alike; built as worker.js. A page imports the same file for what it
 * seldom needs: see LAZY_PARTS in build/browser-files.ts, which must name the modules exported here.
 */
import { openCoreOf } from './open-core.ts'
import { serveWorker } from './serve.ts'

export { openChannel } from '../client/channels/open-channel.ts'
export { firstOffsetSince } from '../client/consumer/first-offset-since.ts'
export { lastRecords } from '../client/consumer/last-records.ts'
export { openLiveSource } from '../client/consumer/live-source.ts'
export * from '../client/group/on-demand.ts'
export { pauseWhenMetered } from '../client/metered.ts'
export { openHere } from '../client/open-here.ts'
export { exportOutbox, importOutbox } from '../client/outbox/outbox-file.ts'
export { keepSignedIn } from './page-credentials.ts'
export { openPageLanes } from './page-lanes.ts'
export { seatInPage } from './page-seat.ts'
export { followSecret } from './page-secret.ts'
export { askToPersist, watchPersistence } from './persistence.ts'

if (typeof document === 'undefined') serveWorker(openCoreOf)
