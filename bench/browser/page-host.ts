/** Builds the pages and serves them from memory on a loopback port, which is a secure context. */
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { extname, join, relative } from 'node:path'
import { build } from 'vite'
import { BUILD_FOLDER, ROOT } from '../harness/machine.ts'
import type { Metrics } from '../harness/scenario.ts'
import { TaskDesk } from './task-desk.ts'

const PAGES = join(ROOT, 'bench/browser/pages')
const OUTPUT = join(BUILD_FOLDER, 'pages')
const TYPES: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.wasm': 'application/wasm',
}

const PAGE_ENTRIES = [
  'peer-page',
  'raw-worker',
  'wa-sqlite-worker',
  'dexie-worker',
  'pouchdb-worker',
  'ottla-page',
  'document-page',
  'table-page',
  'ottla-table',
  'dexie-table',
]

/** 66 packages, which not everybody who works on this needs: bench/README.md. */
export const HAS_RXDB = existsSync(join(ROOT, 'node_modules/rxdb'))
const RXDB_ENTRIES = HAS_RXDB ? ['rxdb-worker', 'rxdb-table'] : []

/** Each becomes /NAME.js. */
const ENTRIES: Record<string, string> = Object.fromEntries(
  [...PAGE_ENTRIES, ...RXDB_ENTRIES].map((name) => [name, join(PAGES, `${name}.ts`)]),
)

/** What a relay serves to pages without a bundler, each file whole. */
const SHIPPED = join(ROOT, 'dist/web')

/** Alone in its processes, a page has a clock of microseconds: other pages have one of a millisecond in Firefox and WebKit. */
const ISOLATION = {
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-embedder-policy': 'require-corp',
}

export interface PageHost {
  /** Address of a page by its entry's name. */
  page(name: string): string
  /** Resolves when a page has started and waits for a task. */
  started(withinMs: number): Promise<void>
  /** Gives the page that waits a task and answers with what it measured; rejects with its error, or past the limit. */
  run(task: object, withinMs: number): Promise<Metrics>
  close(): Promise<void>
}

export async function buildPages(): Promise<void> {
  await build({
    configFile: false,
    root: ROOT,
    logLevel: 'error',
    publicDir: false,
    worker: { format: 'es' },
    // PouchDB expects Node's module; the package of the same name is its browser form.
    resolve: { alias: { events: join(ROOT, 'node_modules/events/events.js') } },
    build: {
      outDir: OUTPUT,
      emptyOutDir: true,
      target: 'es2022',
      assetsInlineLimit: 0,
      modulePreload: false,
      rolldownOptions: {
        input: ENTRIES,
        output: { entryFileNames: '[name].js' },
        // Loaded by the pages at run time.
        preserveEntrySignatures: 'strict',
      },
    },
  })
}

const pageOf = (name: string) =>
  `<!doctype html><meta charset="utf-8"><title>${name}</title><script type="module" src="/${name}.js"></script>`

function readBuilt(): Map<string, Buffer> {
  const files = new Map<string, Buffer>([['/favicon.ico', Buffer.alloc(0)]])
  for (const file of readdirSync(SHIPPED).filter((name) => name.endsWith('.js'))) {
    files.set(`/ottla/${file}`, readFileSync(join(SHIPPED, file)))
  }
  for (const name of Object.keys(ENTRIES)) files.set(`/${name}.html`, Buffer.from(pageOf(name)))
  for (const file of readdirSync(OUTPUT, { recursive: true, withFileTypes: true })) {
    const path = join(file.parentPath, file.name)
    if (file.isFile()) files.set(`/${relative(OUTPUT, path)}`, readFileSync(path))
  }
  return files
}

export async function hostPages(): Promise<PageHost> {
  const files = readBuilt()
  const desk = new TaskDesk()
  const server = createServer((request, response) => {
    const path = new URL(request.url ?? '/', 'http://localhost').pathname
    if (path === '/task') return desk.pageWaits(response)
    if (path === '/answer') return desk.pageAnswers(request, response)
    const body = files.get(path)
    const type = TYPES[extname(path)] ?? 'application/octet-stream'
    const headers = { 'content-type': type, 'cache-control': 'no-store', ...ISOLATION }
    response.writeHead(body ? 200 : 404, headers).end(body)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the page host has no TCP address')
  return {
    page: (name) => `http://127.0.0.1:${address.port}/${name}.html`,
    started: (withinMs) => desk.pageHasStarted(withinMs),
    run: (task, withinMs) => desk.run(task, withinMs),
    async close() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}
