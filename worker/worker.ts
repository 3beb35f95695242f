/** The worker's script, for SharedWorker and Worker alike; built as worker.js. */
import { openCoreOf } from './open-core.ts'
import { serveWorker } from './serve.ts'

serveWorker(openCoreOf)
