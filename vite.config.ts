/** Builds the page (web/) into dist/web, with its service worker and the client's files. The relay serves that folder. */
import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vite'
import { airportsPlugin } from './web/build/airports-plugin.ts'
import { browserFilesPlugin } from './worker/build/browser-files.ts'
import { serviceWorkerPlugin } from './worker/build/service-worker-plugin.ts'

const fromHere = (path: string) => fileURLToPath(new URL(path, import.meta.url))

const shell = {
  // The page has the client in its own chunks; these are for other pages.
  ignore: ['{client,bridge,sending,key-filter,encryption,live,offline,transactions,tables}.js'],
}

export default defineConfig({
  root: fromHere('./web'),
  base: '/',
  plugins: [airportsPlugin(), browserFilesPlugin(), serviceWorkerPlugin(shell)],
  worker: { format: 'es' },
  build: {
    outDir: fromHere('./dist/web'),
    emptyOutDir: true,
    target: 'es2022',
    // Data addresses would need `img-src data:` in the page's content security policy.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: true,
  },
})
