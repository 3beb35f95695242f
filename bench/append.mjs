// Bundles bench/append.ts, which Node 20 cannot run as it is, and runs it: `node bench/append.mjs [runs] [batches] [in flight]`.

import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { build } from 'vite'

const outDir = resolve(import.meta.dirname, '.build/append')
await build({
  configFile: false,
  root: resolve(import.meta.dirname, '..'),
  logLevel: 'warn',
  build: {
    ssr: 'bench/append.ts',
    outDir,
    emptyOutDir: true,
    target: 'node20',
    rollupOptions: { output: { entryFileNames: 'append.mjs' } },
  },
})
await import(pathToFileURL(resolve(outDir, 'append.mjs')).href)
