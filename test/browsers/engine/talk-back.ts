/**
 * How a test speaks with pages, in every engine the same: pages call the server that they came from over a WebSocket, and
 * run what they are sent.
 *
 * Invariants: a tab has one line, the newest; what was asked on an older one rejects, as its page is gone (or hidden).
 */
import type { Server } from 'node:http'
import { type WebSocket, WebSocketServer } from 'ws'

interface PageMessage {
  tab?: string
  url?: string
  call?: number
  value?: unknown
  error?: string
  note?: unknown
  trouble?: string
}

interface Waiting {
  resolve(value: unknown): void
  reject(error: Error): void
}

/** One document in a tab, for as long as it is shown. */
export class Line {
  readonly url: string
  readonly #socket: WebSocket
  readonly #waiting = new Map<number, Waiting>()
  #calls = 0

  constructor(socket: WebSocket, url: string) {
    this.#socket = socket
    this.url = url
    socket.once('close', () => {
      for (const { reject } of this.#waiting.values()) reject(new Error(`${url} is gone`))
    })
  }

  get isOpen(): boolean {
    return this.#socket.readyState === this.#socket.OPEN
  }

  ask(act: string, argument: unknown): Promise<unknown> {
    if (!this.isOpen) return Promise.reject(new Error(`${this.url} is gone`))
    const call = ++this.#calls
    return new Promise((resolve, reject) => {
      this.#waiting.set(call, { resolve, reject })
      this.#socket.send(JSON.stringify({ call, act, argument }))
    })
  }

  /** For what takes the page away: it hangs up first, and then does it. */
  leave(act: string, argument: unknown): void {
    this.#socket.send(JSON.stringify({ leave: true, act, argument }))
  }

  answered({ call, value, error }: PageMessage): void {
    const waiting = this.#waiting.get(call ?? -1)
    this.#waiting.delete(call ?? -1)
    if (error === undefined) waiting?.resolve(value)
    else waiting?.reject(new Error(`in ${this.url}: ${error}`))
  }
}

export class TalkBack {
  readonly lines = new Map<string, Line>()
  /** What pages threw and nobody caught. */
  troubles: string[] = []
  /** Set by the test. */
  onNote: (note: unknown, tab: string) => void = () => {}
  readonly #sockets = new WebSocketServer({ noServer: true, perMessageDeflate: false })

  constructor(server: Server) {
    server.on('upgrade', (request, socket, head) => {
      if (request.url !== '/talk-back') return void socket.destroy()
      this.#sockets.handleUpgrade(request, socket, head, (webSocket) => this.#listenTo(webSocket))
    })
  }

  #listenTo(socket: WebSocket): void {
    let tab = ''
    let line: Line | undefined
    socket.on('error', () => socket.terminate())
    socket.on('message', (data) => {
      const message = JSON.parse(String(data)) as PageMessage
      if (message.tab !== undefined) {
        tab = message.tab
        line = new Line(socket, message.url ?? '')
        this.lines.set(tab, line)
      } else if (message.trouble !== undefined) this.troubles.push(`${line?.url}: ${message.trouble}`)
      else if (message.call !== undefined) line?.answered(message)
      else this.onNote(message.note, tab)
    })
  }
}
