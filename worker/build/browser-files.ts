/**
 * The browser client as files that a page without a bundler can import, each one ES module:
 *
 *   client.js   `connect` and what a page needs for its first record; starts worker.js, which lies beside it
 *   bridge.js   how a page reaches its worker; loaded at once, beside the first reads
 *   sending.js  how a write leaves the page; loaded at once too
 *   key-filter.js  which keys a replica keeps; loaded by pages that keep some
 *   worker.js   connection, replica and outbox; also imported by a page for what it seldom needs itself
 *   admin.js    administration, for both; loaded at its first call
 *   transactions.js  transactions, for pages; loaded at the first, or when a page with a replica has had a second
 *   encryption.js  encryption of replica and outbox, for worker.js; loaded when it is asked for
 *   tables.js   tables, for pages and for worker.js; loaded at the first
 *   offline.js  for pages that start offline: update prompt, drafts, background sync
 *   offline-worker.js   its other half, for `importScripts` in their service workers; .mjs for those that are bundled
 *   live.js     the live tail alone, for pages that only watch
 *   sign-in.js  what the live tail signs in with
 *   codec-*.js  loaded by client.js when the first batch comes that is compressed that way
 *
 * Their names carry no hash: other people's pages refer to them. Runs at build time, in Node.
 */
import { fileURLToPath } from 'node:url'
import { build, type Plugin } from 'vite'

export interface BrowserFile {
  fileName: string
  code: string
  /** What it is made of: paths of sources, and how much of each is left before minifying. */
  sources: ReadonlyArray<{ path: string; chars: number }>
}

const ENTRIES = {
  'client.js': '../index.ts',
  'bridge.js': '../reach.ts',
  'sending.js': '../../client/producer/enqueue-entry.ts',
  'key-filter.js': '../../client/key-filter.ts',
  'worker.js': '../worker.ts',
  'admin.js': '../admin.ts',
  'transactions.js': '../../client/transactions/apart.ts',
  'tables.js': '../../client/table/apart.ts',
  'encryption.js': '../../client/replica/sealed/apart.ts',
  'offline.js': '../offline/index.ts',
  'live.js': '../../client/live.ts',
  'sign-in.js': '../../client/signed-in.ts',
  'codec-snappy.js': '../../protocol/codecs/snappy.ts',
  'codec-lz4.js': '../../protocol/codecs/lz4.ts',
  'codec-zstd.js': '../../protocol/codecs/zstd.ts',
}

export async function buildBrowserFiles(): Promise<BrowserFile[]> {
  const files: BrowserFile[] = []
  for (const [fileName, entry] of Object.entries(ENTRIES)) {
    const plugins = [
      adminApart(),
      transactionsApart(),
      tablesApart(),
      encryptionApart(),
      codecsApart(),
      ...(fileName === 'client.js' ? [afterFirstRecord(), restFromWorker()] : []),
    ]
    files.push({ fileName, ...(await oneModule(fileURLToPath(new URL(entry, import.meta.url)), plugins)) })
  }
  // A service worker can import nothing on demand: all of it is in one file.
  const entry = fileURLToPath(new URL('../offline/service-worker.ts', import.meta.url))
  files.push({ fileName: 'offline-worker.mjs', ...(await oneModule(entry, [])) })
  files.push({ fileName: 'offline-worker.js', ...(await oneModule(entry, [], 'iife')) })
  return files
}

/** Adds the files to the build of a page, in time for a service worker that precaches what the build gave. */
export function browserFilesPlugin(): Plugin {
  return {
    name: 'ottla-browser-files',
    apply: 'build',
    async generateBundle() {
      for (const { fileName, code } of await buildBrowserFiles()) {
        this.emitFile({ type: 'asset', fileName, source: code })
      }
    },
  }
}

/** What client.js imports lazily, as far as worker.js has it anyway or a page seldom needs it; worker.ts exports it. */
const LAZY_PARTS = [
  'first-offset-since',
  'last-records',
  'live-source',
  'metered',
  'on-demand',
  'open-channel',
  'open-here',
  'outbox-file',
  'page-credentials',
  'page-lanes',
  'page-seat',
  'page-secret',
  'persistence',
]

/** The page has what its first record needs; the rest it imports from the file that its worker runs. */
function restFromWorker(): Plugin {
  const lazy = new RegExp(`/(${LAZY_PARTS.join('|')})\\.ts$`)
  return {
    name: 'ottla-rest-from-worker',
    enforce: 'pre',
    resolveId: (id) => (lazy.test(id) ? { id: './worker.js', external: true } : null),
  }
}

/** What a record in a replica of all keys does without. */
const AFTER_FIRST_RECORD: Readonly<Record<string, string>> = {
  reach: './bridge.js',
  'enqueue-entry': './sending.js',
  'key-filter': './key-filter.js',
}

function afterFirstRecord(): Plugin {
  return {
    name: 'ottla-after-first-record',
    enforce: 'pre',
    resolveId(id) {
      const file = AFTER_FIRST_RECORD[/\/([^/]+)\.ts$/.exec(id)?.[1] ?? '']
      return file ? { id: file, external: true } : null
    },
  }
}

/** Most pages never administer anything. */
function adminApart(): Plugin {
  return {
    name: 'ottla-admin-apart',
    enforce: 'pre',
    resolveId: (id, importer) =>
      /\/(requests|relay-apis)\.ts$/.test(id) && !importer?.endsWith('worker/admin.ts')
        ? { id: './admin.js', external: true }
        : null,
  }
}

/** Most pages never begin a transaction. */
function transactionsApart(): Plugin {
  return {
    name: 'ottla-transactions-apart',
    enforce: 'pre',
    resolveId: (id, importer) =>
      importer && id.endsWith('/transactions/apart.ts') ? { id: './transactions.js', external: true } : null,
  }
}

/** Nor do most have a table, nor their workers. */
function tablesApart(): Plugin {
  return {
    name: 'ottla-tables-apart',
    enforce: 'pre',
    resolveId: (id, importer) =>
      id === './apart.ts' && importer?.endsWith('/table/lazy-tables.ts') ? { id: './tables.js', external: true } : null,
  }
}

/** Few replicas are encrypted. */
function encryptionApart(): Plugin {
  return {
    name: 'ottla-encryption-apart',
    enforce: 'pre',
    resolveId: (id, importer) =>
      importer && id.endsWith('/sealed/apart.ts') ? { id: './encryption.js', external: true } : null,
  }
}

/** Few pages ever meet a batch that only Kafka's other clients write. */
function codecsApart(): Plugin {
  return {
    name: 'ottla-codecs-apart',
    enforce: 'pre',
    resolveId(id, importer) {
      const codec = importer?.endsWith('protocol/codecs/standard.ts') && /^\.\/(snappy|lz4|zstd)\.ts$/.exec(id)?.[1]
      return codec ? { id: `./codec-${codec}.js`, external: true } : null
    },
  }
}

async function oneModule(
  entry: string,
  plugins: Plugin[],
  format: 'es' | 'iife' = 'es',
): Promise<Omit<BrowserFile, 'fileName'>> {
  const built = await build({
    configFile: false,
    logLevel: 'warn',
    publicDir: false,
    plugins,
    // As libraries are built, this is left to whoever bundles them; a browser knows no such thing.
    define: { 'process.env.NODE_ENV': '"production"' },
    build: {
      write: false,
      target: 'es2022',
      minify: true,
      lib: { entry, formats: [format], fileName: 'module', name: 'ottla' },
      // Whitespace too: for ES libraries vite leaves it in unless the output itself says so.
      rolldownOptions: {
        optimization: { inlineConst: { mode: 'all', pass: 1 } },
        output: { codeSplitting: false, minify: true },
      },
    },
  })
  const output = [built].flat()[0]
  if (!output || !('output' in output)) throw new Error(`no output for ${entry}`)
  const { code, modules } = output.output[0]
  const sources = Object.entries(modules).map(([path, { renderedLength: chars }]) => ({ path, chars }))
  return { code, sources: sources.filter(({ chars }) => chars > 0) }
}
