/**
 * What browsers download, gzip, beside what it may be: `node scripts/sizes.mjs`. Fails when an entry is over its budget, or
 * when a codec has got into what is loaded at once. `node scripts/sizes.mjs client.js` also tells what the file is made of.
 *
 * The files are those that the relay serves to pages without a bundler. What comes later is measured beyond that: without
 * the sources that client.js has, which a bundler would not load twice, and without Yjs and what belongs to it.
 */
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { build, runnerImport } from 'vite'

const root = fileURLToPath(new URL('..', import.meta.url))
const CODECS = /protocol\/codecs\/(snappy|lz4|zstd)\.ts$/
const YJS = /^(yjs|y-protocols|lib0)(\/|$)/

/** Bytes. Without a number: told, not bound. */
const FILES = {
  'live.js': 6_000,
  'client.js': 16_000,
  'bridge.js': undefined,
  'sending.js': undefined,
  'sign-in.js': undefined,
  'transactions.js': undefined,
  'tables.js': undefined,
  'encryption.js': undefined,
  'admin.js': undefined,
  'worker.js': undefined,
}

const BEYOND = [
  { name: 'bridge', entry: 'worker/reach.ts', bytesMax: 6_500 },
  { name: 'sending', entry: 'client/producer/enqueue-entry.ts', bytesMax: 2_000 },
  { name: 'Yjs provider', entry: 'client/yjs/index.ts', bytesMax: 4_000 },
]

const gzipBytes = (code) => gzipSync(code, { level: 9 }).length

async function browserFiles() {
  const { module } = await runnerImport(`${root}worker/build/browser-files.ts`)
  return new Map((await module.buildBrowserFiles()).map((file) => [file.fileName, file]))
}

async function codeBeyond(entry, isThere) {
  const output = await build({
    configFile: false,
    root,
    logLevel: 'warn',
    publicDir: false,
    plugins: [
      {
        name: 'beyond',
        enforce: 'pre',
        async resolveId(id, importer) {
          if (!importer) return null
          const path = YJS.test(id) ? id : (await this.resolve(id, importer, { skipSelf: true }))?.id
          return path && isThere(path) ? { id, external: true } : null
        },
      },
    ],
    build: {
      lib: { entry: `${root}${entry}`, formats: ['es'], fileName: 'module' },
      write: false,
      target: 'es2022',
      minify: true,
      rolldownOptions: { output: { codeSplitting: false, minify: true } },
    },
  })
  return [output].flat()[0].output[0].code
}

const failures = []

function tell(name, bytes, bytesMax) {
  const isOver = bytesMax !== undefined && bytes > bytesMax
  const limit =
    bytesMax === undefined ? '' : `  of ${(bytesMax / 1000).toFixed(1).padStart(4)}${isOver ? '  TOO LARGE' : ''}`
  console.log(`${name.padEnd(34)} ${(bytes / 1000).toFixed(2).padStart(6)} kB gzip${limit}`)
  if (isOver) failures.push(`${name} has ${bytes} bytes, its budget is ${bytesMax}`)
}

const files = await browserFiles()
for (const [fileName, bytesMax] of Object.entries(FILES)) {
  const { code, sources } = files.get(fileName)
  tell(fileName, gzipBytes(code), bytesMax)
  const codec = sources.find(({ path }) => CODECS.test(path))
  if (codec) failures.push(`${fileName} holds ${codec.path}, which is to be loaded when a batch needs it`)
}
const inClient = new Set(files.get('client.js').sources.map(({ path }) => path))
for (const { name, entry, bytesMax } of BEYOND) {
  const code = await codeBeyond(entry, (path) => YJS.test(path) || inClient.has(path))
  tell(`${name}, beyond client.js`, gzipBytes(code), bytesMax)
}
for (const fileName of process.argv.slice(2)) {
  console.log(`\n${fileName}, characters before minifying`)
  for (const { path, chars } of files.get(fileName).sources.toSorted((a, b) => b.chars - a.chars)) {
    console.log(String(chars).padStart(7), path.replace(root, ''))
  }
}
for (const failure of failures) console.error(`sizes: ${failure}`)
if (failures.length > 0) process.exit(1)
