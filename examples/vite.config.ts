/**
 * Builds one example (its folder is given as `root`) into dist/examples/NAME: the page, the files of the browser client that
 * its worker runs, and a service worker where it has one. The relay serves that folder.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { defineConfig, type Plugin } from 'vite'
import { serviceWorkerPlugin } from '../worker/build/service-worker-plugin.ts'

const fromHere = (path: string) => fileURLToPath(new URL(path, import.meta.url))

/** What worker.js loads, and itself: as `npm run build` has put it beside the relay's own page. */
const CLIENT_FILES = /^(worker|admin|transactions|tables|encryption|codec-\w+)\.js$/

function clientFilesPlugin(): Plugin {
  const folder = fromHere('../dist/web')
  return {
    name: 'ottla-client-files',
    generateBundle() {
      for (const fileName of readdirSync(folder).filter((name) => CLIENT_FILES.test(name))) {
        this.emitFile({ type: 'asset', fileName, source: readFileSync(`${folder}/${fileName}`) })
      }
    },
  }
}

export default defineConfig({
  base: './',
  plugins: [clientFilesPlugin(), serviceWorkerPlugin({ alias: aliases() })],
  resolve: { alias: aliases() },
  worker: { format: 'es' },
  build: {
    emptyOutDir: true,
    target: 'es2022',
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
  },
})

/** An application has these from the package `ottla`; inside this repository they are its sources. */
function aliases(): Record<string, string> {
  return {
    'ottla/offline': fromHere('../worker/offline/index.ts'),
    'ottla/service-worker': fromHere('../worker/offline/service-worker.ts'),
    'ottla/yjs': fromHere('../client/yjs/index.ts'),
    ottla: fromHere('../worker/index.ts'),
  }
}
