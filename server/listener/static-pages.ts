/**
 * The built page and the browser client, from a folder. Loaded when the first request comes, so that a relay without
 * visitors starts without it.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Logger } from '../logger.ts'

/** Nothing from elsewhere, no inline code: what a page that holds other people's records should have. */
const CONTENT_SECURITY_POLICY = [
  "default-src 'self'",
  "connect-src 'self' ws: wss:",
  "img-src 'self' data: blob:",
  "worker-src 'self' blob:",
  "object-src 'none'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join('; ')

type Serve = (request: IncomingMessage, response: ServerResponse, next: () => void) => void

export class StaticPages {
  readonly #dir: string
  readonly #logger: Logger
  #serve: Promise<Serve> | undefined

  constructor(dir: string, logger: Logger) {
    this.#dir = dir
    this.#logger = logger
  }

  serve(request: IncomingMessage, response: ServerResponse): void {
    this.#serve ??= this.#load()
    this.#serve.then(
      (serve) => serve(request, response, () => notFound(response)),
      (error: Error) => {
        this.#logger.error('pages cannot be served', { error: error.message })
        notFound(response)
      },
    )
  }

  async #load(): Promise<Serve> {
    const { default: sirv } = await import('sirv')
    return sirv(this.#dir, { dev: true, etag: true, setHeaders })
  }
}

function setHeaders(response: ServerResponse, path: string): void {
  response.setHeader('content-security-policy', CONTENT_SECURITY_POLICY)
  response.setHeader('x-content-type-options', 'nosniff')
  response.setHeader('referrer-policy', 'no-referrer')
  // A page of any origin may import the client; what it may connect to is decided at the upgrade.
  response.setHeader('access-control-allow-origin', '*')
  response.setHeader('cache-control', path.startsWith('/assets/') ? 'public, max-age=31536000, immutable' : 'no-cache')
}

function notFound(response: ServerResponse): void {
  response.writeHead(404, { 'content-type': 'text/plain' })
  response.end('There is no such page.\n')
}
