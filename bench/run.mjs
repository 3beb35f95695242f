// Bundles bench/main.ts, which Node 20 cannot run as it is, and runs it: `npm run bench -- [names] [options]`.

import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { build } from 'vite'

const outDir = resolve(import.meta.dirname, '.build/harness')
await build({
  configFile: false,
  root: resolve(import.meta.dirname, '..'),
  logLevel: 'warn',
  build: {
    ssr: 'bench/main.ts',
    outDir,
    emptyOutDir: true,
    target: 'node20',
    rollupOptions: { output: { entryFileNames: 'main.mjs' } },
  },
})
await import(pathToFileURL(resolve(outDir, 'main.mjs')).href)
