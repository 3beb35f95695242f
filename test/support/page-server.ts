/**
 * A static server for test pages: files from memory, on a port that the system chooses. Loopback is a secure context,
 * so workers, locks and service workers are all there.
 */
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'

const TYPES: Record<string, string> = {
  css: 'text/css; charset=utf-8',
  html: 'text/html; charset=utf-8',
  js: 'text/javascript; charset=utf-8',
  json: 'application/json',
}

export interface PageServer {
  /** For instance `http://127.0.0.1:41234`, without a slash at the end. */
  readonly origin: string
  /** For what else is to be served on this port. */
  readonly http: Server
  /** Adds or replaces a file; `path` begins with a slash. */
  serve(path: string, content: string | Uint8Array): void
  close(): Promise<void>
}

/**
 * Starts a server for `files`, keyed by path (`/index.html`). Anything else is 404.
 *
 * Pages are 'no-store', which keeps them out of the back/forward cache (playwright's `goBack` never returns from it).
 * With the query `?page-cache` a page may go there. With `?clear-site-data` the browser clears the site's storage.
 */
export async function startPageServer(files: Record<string, string | Uint8Array> = {}): Promise<PageServer> {
  const content = new Map(Object.entries(files))
  const server = createServer((request, response) => {
    const { pathname: path, searchParams } = new URL(request.url ?? '/', 'http://localhost')
    const caching = searchParams.has('page-cache') ? 'no-cache' : 'no-store'
    const body = content.get(path)
    const type = TYPES[path.slice(path.lastIndexOf('.') + 1)] ?? 'application/octet-stream'
    if (searchParams.has('clear-site-data')) response.setHeader('clear-site-data', '"storage"')
    response.writeHead(body === undefined ? 404 : 200, { 'content-type': type, 'cache-control': caching })
    response.end(body ?? '')
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error(`page server has no TCP address: ${address}`)
  return {
    origin: `http://127.0.0.1:${address.port}`,
    http: server,
    serve: (path, body) => void content.set(path, body),
    async close() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}
