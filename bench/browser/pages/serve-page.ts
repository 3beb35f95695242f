/**
 * The page's side of the driver: asks its host for a task (the host holds the request until there is one), works, answers.
 *
 * No DevTools session drives these pages: one that watches the network, as drivers do, is sent a copy of every WebSocket
 * frame and makes the socket fifteen times slower.
 */
import type { PageAnswer, PageMetrics } from './contract.ts'
import { watchMainThread } from './main-thread.ts'

async function answerOf<Task>(task: Task, serve: (task: Task) => Promise<PageMetrics>): Promise<PageAnswer> {
  const watch = watchMainThread()
  try {
    const metrics = await serve(task)
    return { metrics: { ...metrics, longestTaskMs: watch.stop() } }
  } catch (error) {
    watch.stop()
    // A stack begins with the message in Chromium alone.
    return { error: error instanceof Error ? `${error}\n${error.stack}` : String(error) }
  }
}

export async function servePage<Task>(serve: (task: Task) => Promise<PageMetrics>): Promise<void> {
  const response = await fetch('/task')
  const answer = await answerOf((await response.json()) as Task, serve)
  await fetch('/answer', { method: 'POST', body: JSON.stringify(answer) })
}
