/**
 * The few Chrome DevTools Protocol calls that playwright-core does not offer: reaching a SharedWorker as a target of
 * its own, to run a script in it, to hang it, or to end it while its pages live on.
 */
import { once } from 'node:events'
import { WebSocket } from 'ws'

export interface DevtoolsTarget {
  id: string
  type: string
  url: string
  title: string
  webSocketDebuggerUrl: string
}

interface CdpReply {
  id?: number
  result?: { result?: { value?: unknown }; exceptionDetails?: { text: string } }
  error?: { message: string }
}

const REPLY_MS_MAX = 5_000

export class Devtools {
  private readonly base: string

  constructor(debuggingPort: number) {
    this.base = `http://127.0.0.1:${debuggingPort}`
  }

  /** Live targets of one type, for instance `shared_worker`, `page`, `worker`. */
  async targets(type: string): Promise<DevtoolsTarget[]> {
    const response = await fetch(`${this.base}/json/list`, { signal: AbortSignal.timeout(REPLY_MS_MAX) })
    const all = (await response.json()) as DevtoolsTarget[]
    return all.filter((target) => target.type === type)
  }

  /** Ends a target at once: a page without asking it, a worker without letting it finish. */
  async end(target: DevtoolsTarget): Promise<void> {
    await fetch(`${this.base}/json/close/${target.id}`, { signal: AbortSignal.timeout(REPLY_MS_MAX) })
  }

  /** Runs an expression in the target and returns its value (by JSON). */
  async evaluate(target: DevtoolsTarget, expression: string): Promise<unknown> {
    const reply = await this.command(target, 'Runtime.evaluate', {
      expression,
      awaitPromise: true,
      returnByValue: true,
    })
    if (reply.result?.exceptionDetails) throw new Error(`in ${target.url}: ${reply.result.exceptionDetails.text}`)
    return reply.result?.result?.value
  }

  /** Makes the target's thread spin for `ms`: alive to the browser, dead to everybody who asks it something. */
  async hang(target: DevtoolsTarget, ms: number): Promise<void> {
    await this.command(target, 'Runtime.evaluate', {
      expression: `setTimeout(() => { const end = Date.now() + ${ms}; while (Date.now() < end); }, 0)`,
    })
  }

  private async command(target: DevtoolsTarget, method: string, params: object): Promise<CdpReply> {
    const socket = new WebSocket(target.webSocketDebuggerUrl, { perMessageDeflate: false })
    socket.on('error', () => socket.terminate())
    const timer = setTimeout(() => socket.terminate(), REPLY_MS_MAX)
    try {
      await once(socket, 'open')
      const replied = new Promise<CdpReply>((resolve, reject) => {
        socket.on('message', (data) => {
          const message = JSON.parse(String(data)) as CdpReply
          if (message.id === 1) resolve(message)
        })
        socket.once('close', () => reject(new Error(`no reply to ${method} from ${target.type} ${target.url}`)))
      })
      socket.send(JSON.stringify({ id: 1, method, params }))
      const reply = await replied
      if (reply.error) throw new Error(`${method}: ${reply.error.message}`)
      return reply
    } finally {
      clearTimeout(timer)
      socket.terminate()
    }
  }
}
