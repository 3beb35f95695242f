/**
 * Builds what is missing or older than its sources: `node scripts/ensure-built.mjs [cli] [web] [demo]`.
 *
 * Meant to stand before every run from a checkout, so the common case (nothing to do) loads no bundler. What it
 * says goes to standard error: standard output belongs to the program that runs next.
 */

import { existsSync } from 'node:fs'
import { isStale, markBuilt, targetNames, withBuildLock } from './build-state.mjs'

const wanted = process.argv.length > 2 ? process.argv.slice(2) : targetNames
const unknown = wanted.find((name) => !targetNames.includes(name))
if (unknown) {
  console.error(`ensure-built: unknown target '${unknown}'; use ${targetNames.join(', ')}`)
  process.exit(2)
}

if (wanted.some(isStale)) {
  if (!existsSync(new URL('../node_modules/vite', import.meta.url))) {
    console.error('Nothing is built yet and the tools for it are missing; run npm ci first.')
    process.exit(1)
  }
  await withBuildLock(async () => {
    const stale = wanted.filter(isStale)
    if (stale.length === 0) return
    console.error(`Building ${stale.join(', ')} ...`)
    const { buildTargets } = await import('./build.mjs')
    console.log = console.error
    for (const target of stale) {
      const startedMs = Date.now()
      await buildTargets([target])
      markBuilt(target, startedMs)
    }
  })
}
