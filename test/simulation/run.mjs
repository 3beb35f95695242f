// Bundles main.ts, which Node 20 cannot run as it is, and runs it: `npm run test:simulation -- [options]`.

import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { build } from 'vite'

const outDir = resolve(import.meta.dirname, '.build')
await build({
  configFile: false,
  root: resolve(import.meta.dirname, '../..'),
  logLevel: 'warn',
  build: {
    ssr: 'test/simulation/main.ts',
    outDir,
    emptyOutDir: true,
    target: 'node20',
    sourcemap: true,
    rolldownOptions: { output: { entryFileNames: 'main.mjs', codeSplitting: false } },
  },
})
await import(pathToFileURL(resolve(outDir, 'main.mjs')).href)
