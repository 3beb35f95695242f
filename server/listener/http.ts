/**
 * The HTTP listener: the built page and browser client, health checks, and the upgrade to WebSocket.
 *
 *   GET /            the page; /client.js the browser client as one ES module
 *   GET /livez       200 while the process answers
 *   GET /readyz      200 when everything is served, else 503 with what is not; room on the disk, and how compaction goes
 *   GET / (upgrade)  WebSocket; /yjs/DOCUMENT for editors of y-websocket's protocol
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { DOCUMENTS_PATH, type DocumentsDoor } from '../documents/door/documents-door.ts'
import { outOfService } from '../readiness.ts'
import type { Services } from '../services.ts'
import { listen } from './listen.ts'
import { isOriginAllowed, type OriginPolicy } from './origin.ts'
import { atHttpPort } from './other-protocol.ts'
import { hostAndPort } from './peer-socket.ts'
import type { StaticPages } from './static-pages.ts'
import type { WebSocketDoor } from './websocket.ts'

const HEADERS_TIMEOUT_MS = 10_000
/** How often connections are looked at for that; the library's own 30 s would make ten seconds forty. */
const TIMEOUT_CHECK_MS = 1_000
const WEBSOCKET_PATH = '/'
const LOOPBACK_NAMES = ['127.0.0.1', 'localhost', '[::1]']

interface UpgradeDoors {
  webSocketDoor: WebSocketDoor
  documentsDoor: DocumentsDoor
}

export class HttpListener {
  readonly #services: Services
  readonly #doors: UpgradeDoors
  readonly #pages: StaticPages | undefined
  readonly #server: Server
  readonly #origins: OriginPolicy

  constructor(services: Services, doors: UpgradeDoors, pages: StaticPages | undefined) {
    this.#services = services
    this.#doors = doors
    this.#pages = pages
    this.#origins = { allowed: services.config.allowOrigins, own: () => this.#ownOrigins() }
    this.#server = createServer({
      requestTimeout: HEADERS_TIMEOUT_MS,
      headersTimeout: HEADERS_TIMEOUT_MS,
      connectionsCheckingInterval: TIMEOUT_CHECK_MS,
    })
    this.#server.on('request', (request, response) => this.#onRequest(request, response))
    this.#server.on('upgrade', (request, socket, head) => this.#onUpgrade(request, socket, head))
    this.#server.on('clientError', (error, socket) => this.#onClientError(error, socket))
  }

  /** Rejects with PortTakenError, or the system's error when the address cannot be had. */
  listen(host: string, port: number): Promise<void> {
    return listen(this.#server, { host, port, option: 'http-port' }, this.#services.logger)
  }

  get address(): { host: string; port: number } {
    const { address, port, family } = this.#server.address() as AddressInfo
    const isAny = address === '0.0.0.0' || address === '::'
    const host = isAny ? '127.0.0.1' : family === 'IPv6' ? `[${address}]` : address
    return { host, port }
  }

  /** Also when it never listened. */
  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()))
    this.#server.closeAllConnections()
    await closed
  }

  #ownOrigins(): string[] {
    const { host, port } = this.address
    const names = LOOPBACK_NAMES.includes(host) ? LOOPBACK_NAMES : [host]
    return names.map((name) => `http://${name}:${port}`)
  }

  #onUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on('error', () => socket.destroy())
    const path = (request.url ?? '').split('?')[0]!
    const isDocument = path.startsWith(DOCUMENTS_PATH) && path !== DOCUMENTS_PATH
    if (path !== WEBSOCKET_PATH && !isDocument)
      return refuse(
        socket,
        '404 Not Found',
        `WebSocket connections are served at ${WEBSOCKET_PATH}, documents at ${DOCUMENTS_PATH}NAME`,
      )
    if (!isOriginAllowed(request.headers.origin, this.#origins)) {
      this.#services.logger.warn('origin refused', { origin: String(request.headers.origin).slice(0, 200) })
      return refuse(socket, '403 Forbidden', 'pages of this origin may not connect; see allow-origins')
    }
    if (!this.#services.limits.hasRoomFor(request.socket.remoteAddress ?? 'unknown')) {
      return refuse(socket, '503 Service Unavailable', 'too many connections', 'Retry-After: 5\r\n')
    }
    const { webSocketDoor, documentsDoor } = this.#doors
    ;(isDocument ? documentsDoor : webSocketDoor).accept(request, socket, head)
  }

  /** Bytes that are no HTTP. Whose they are is said where that is plain; others are only sent away. */
  #onClientError(error: Error & { rawPacket?: Buffer }, socket: Duplex): void {
    const kafka = this.#services.advertised.kafka()
    const says = error.rawPacket && atHttpPort(error.rawPacket, kafka && hostAndPort(kafka))
    const { remoteAddress: remote } = socket as Socket
    if (says) this.#services.noise.warn('wrong protocol', { remote, reason: says })
    socket.destroy()
  }

  #onRequest(request: IncomingMessage, response: ServerResponse): void {
    const path = (request.url ?? '/').split('?')[0]
    if (path === '/livez') return answer(response, 200, { status: 'alive' })
    if (path === '/readyz') return this.#answerReady(response)
    if (!this.#pages) return answer(response, 404, { error: 'no pages are built; run npm run build' })
    this.#pages.serve(request, response)
  }

  #answerReady(response: ServerResponse): void {
    const offline = outOfService(this.#services)
    const status = offline.length === 0 ? 'ready' : 'degraded'
    const [disk, compaction] = [this.#services.space.status, this.#services.compaction.status]
    answer(response, offline.length === 0 ? 200 : 503, { status, offline, disk, compaction })
  }
}

function answer(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' })
  response.end(`${JSON.stringify(body)}\n`)
}

/** Upgraded sockets stay half open when only our side ends, and nobody would count them: destroyed once it is said. */
function refuse(socket: Duplex, status: string, reason: string, headers = ''): void {
  socket.once('finish', () => socket.destroy())
  const body = `${reason}\n`
  socket.end(
    `HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Type: text/plain\r\n${headers}Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  )
}
