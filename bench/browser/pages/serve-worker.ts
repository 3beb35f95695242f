/** The worker's side: takes one request, answers with metrics or with what went wrong. */
import type { PageAnswer, WorkerRequest } from './contract.ts'

export function serveWorker(serve: (request: WorkerRequest) => Promise<Record<string, number>>): void {
  globalThis.onmessage = async ({ data }: MessageEvent<WorkerRequest>) => {
    let answer: PageAnswer
    try {
      answer = { metrics: await serve(data) }
    } catch (error) {
      answer = { error: error instanceof Error ? (error.stack ?? error.message) : String(error) }
    }
    globalThis.postMessage(answer)
  }
}
