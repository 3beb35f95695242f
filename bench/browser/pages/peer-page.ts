/** The page of raw IndexedDB and the peers: starts the named worker and hands it the task. */
import type { PageAnswer, PageMetrics, PeerTask } from './contract.ts'
import { servePage } from './serve-page.ts'

async function runInWorker({ script, request }: PeerTask): Promise<PageMetrics> {
  const worker = new Worker(script, { type: 'module' })
  const answer = await new Promise<PageAnswer>((resolve) => {
    worker.onmessage = ({ data }: MessageEvent<PageAnswer>) => resolve(data)
    worker.onerror = (event) => resolve({ error: `${script}: ${event.message}` })
    worker.postMessage(request)
  })
  worker.terminate()
  if ('error' in answer) throw new Error(answer.error)
  return answer.metrics
}

void servePage(runInWorker)
