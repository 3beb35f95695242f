/**
 * The worker's script, for SharedWorker and Worker alike; built as worker.js. A page without a worker imports the same
 * file for the core that it then runs itself.
 */
import { openCoreOf } from './open-core.ts'
import { serveWorker } from './serve.ts'

export { openLocalCore } from '../client/local-core.ts'

if (typeof document === 'undefined') serveWorker(openCoreOf)
