/**
 * Writes the service worker after the page is built: it precaches the shell and nothing else.
 *
 * Data never goes through it: records live in the replica. A new worker waits until the page says
 * SKIP_WAITING (web/register.ts), so an open form is never reloaded away.
 */
import { resolve } from 'node:path'
import type { Plugin } from 'vite'
import { generateSW } from 'workbox-build'

export function serviceWorkerPlugin(): Plugin {
  let outDir = ''
  return {
    name: 'ottla-service-worker',
    apply: 'build',
    enforce: 'post',
    configResolved({ root, build }) {
      outDir = resolve(root, build.outDir)
    },
    async writeBundle() {
      const { count, size, warnings } = await generateSW({
        globDirectory: outDir,
        globPatterns: ['**/*.{html,js,css,json,svg,png,webmanifest}'],
        // The page has the client in its own chunks; these are for other pages.
        globIgnores: ['service-worker.js', '{client,bridge,sending,live,transactions,tables}.js'],
        swDest: `${outDir}/service-worker.js`,
        navigateFallback: '/index.html',
        navigateFallbackDenylist: [/\.[a-z]+$/],
        cleanupOutdatedCaches: true,
        clientsClaim: true,
        skipWaiting: false,
        inlineWorkboxRuntime: true,
        sourcemap: false,
        // Names under /assets carry their content's hash; asking for them with another one would defeat HTTP caching.
        dontCacheBustURLsMatching: /^assets\//,
      })
      for (const warning of warnings) this.warn(warning)
      this.info(`service worker: ${count} files, ${Math.round(size / 1024)} kB precached`)
    },
  }
}
