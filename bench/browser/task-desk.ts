/** Where the driver and a page meet: the page's request for a task is held until there is one, its answer comes back. */
import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { text } from 'node:stream/consumers'
import type { Metrics } from '../harness/scenario.ts'
import type { PageAnswer } from './pages/contract.ts'
import { within } from './within.ts'

export class TaskDesk {
  #waiting: ServerResponse | undefined
  #arrived: (() => void) | undefined
  #answered: ((answer: PageAnswer) => void) | undefined

  pageWaits(response: ServerResponse): void {
    response.on('error', () => {})
    response.on('close', () => {
      if (this.#waiting === response) this.#waiting = undefined
    })
    this.#waiting = response
    this.#arrived?.()
  }

  pageAnswers(request: IncomingMessage, response: ServerResponse): void {
    text(request)
      .then((body) => {
        response.writeHead(204).end()
        this.#answered?.(JSON.parse(body) as PageAnswer)
      })
      .catch((error: unknown) => this.#answered?.({ error: `the page's answer was cut off: ${error}` }))
  }

  async pageHasStarted(withinMs: number): Promise<void> {
    if (this.#waiting) return
    const arrived = new Promise<void>((resolve) => {
      this.#arrived = resolve
    })
    await within('the start of the page', arrived, withinMs)
  }

  async run(task: object, withinMs: number): Promise<Metrics> {
    const page = this.#waiting
    if (!page) throw new Error('no page waits for a task')
    this.#waiting = undefined
    const gone = once(page, 'close')
    const answered = new Promise<PageAnswer>((resolve) => {
      this.#answered = resolve
    })
    page.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(task))
    await gone
    const answer = await within('the task of the page', answered, withinMs)
    if ('error' in answer) throw new Error(answer.error)
    return answer.metrics
  }
}
