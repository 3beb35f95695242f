/**
 * Bundles a service worker once its page is built, with the list of the page's files in it (`__SHELL__`) for workbox to
 * precache: the shell and nothing else. Data never goes through it: records live in the replica. Runs at build time, in Node.
 */
import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { build, type Plugin } from 'vite'
import { getManifest } from 'workbox-build'

export interface ServiceWorkerOptions {
  /** Files of the build that the page does without. */
  ignore?: string[]
  alias?: Record<string, string>
}

/** Beside the page's entry. A page without one has no service worker. */
const SOURCE = 'service-worker.ts'
const FILE_NAME = 'service-worker.js'

export function serviceWorkerPlugin({ ignore = [], alias = {} }: ServiceWorkerOptions = {}): Plugin {
  let [entry, outDir] = ['', '']
  return {
    name: 'ottla-service-worker',
    apply: 'build',
    enforce: 'post',
    configResolved({ root, build: { outDir: folder } }) {
      entry = resolve(root, SOURCE)
      outDir = resolve(root, folder)
    },
    async writeBundle() {
      if (!existsSync(entry)) return
      const { manifestEntries, count, size, warnings } = await getManifest({
        globDirectory: outDir,
        globPatterns: ['**/*.{html,js,css,json,svg,png,webmanifest}'],
        globIgnores: [FILE_NAME, 'offline-worker.js', ...ignore],
        // Names under /assets carry their content's hash; asking for them with another one would defeat HTTP caching.
        dontCacheBustURLsMatching: /^assets\//,
      })
      await bundle({ entry, outDir, alias, define: { __SHELL__: JSON.stringify(manifestEntries) } })
      for (const warning of warnings) this.warn(warning)
      this.info(`service worker: ${count} files, ${Math.round(size / 1024)} kB precached`)
    },
  }
}

interface Bundle {
  entry: string
  outDir: string
  alias: Record<string, string>
  define: Record<string, string>
}

/** One classic script: not every browser has service workers that are modules, and none imports on demand. */
async function bundle({ entry, outDir, alias, define }: Bundle): Promise<void> {
  await build({
    configFile: false,
    logLevel: 'warn',
    publicDir: false,
    define: { ...define, 'process.env.NODE_ENV': '"production"' },
    resolve: { alias },
    build: {
      outDir,
      emptyOutDir: false,
      target: 'es2022',
      minify: true,
      lib: { entry, formats: ['iife'], name: 'serviceWorker', fileName: () => FILE_NAME },
      rolldownOptions: { output: { codeSplitting: false, minify: true } },
    },
  })
}
