/** The page of raw IndexedDB and the peers: starts the named worker, hands it the task, watches its own main thread. */
import type { PageMetrics, WorkerAnswer, WorkerRequest } from './contract.ts'
import { watchMainThread } from './main-thread.ts'

async function run(script: string, request: WorkerRequest): Promise<PageMetrics> {
  const worker = new Worker(script, { type: 'module' })
  const watch = watchMainThread()
  const answer = await new Promise<WorkerAnswer>((resolve) => {
    worker.onmessage = ({ data }: MessageEvent<WorkerAnswer>) => resolve(data)
    worker.onerror = (event) => resolve({ error: `${script}: ${event.message}` })
    worker.postMessage(request)
  })
  worker.terminate()
  if ('error' in answer) throw new Error(answer.error)
  return { ...answer.metrics, longestTaskMs: watch.stop() }
}

declare global {
  var runInWorker: (script: string, request: WorkerRequest) => Promise<PageMetrics>
}
globalThis.runInWorker = run
