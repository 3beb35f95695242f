/**
 * Whether a build target is older than its sources, and a lock so that two starts in a fresh clone build once.
 *
 * A target's stamp carries the time at which its build began: a source that changed meanwhile is newer than that.
 * Folders count as well as files, because a deleted file changes only its folder.
 */

import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const stateDir = join(root, 'dist', '.built')
const lockPath = join(root, '.cache', 'build.lock')
const WAIT_MS = 100

const shared = ['package-lock.json', 'scripts/build.mjs', 'protocol', 'client']
const sources = {
  cli: [...shared, 'server', 'cli'],
  demo: [...shared, 'server', 'cli', 'examples/flights-demo'],
  web: [...shared, 'worker', 'web', 'vite.config.ts'],
  lib: [...shared, 'server'],
  examples: [...shared, 'server', 'cli', 'worker', 'examples'],
}
const products = {
  cli: 'dist/cli/ottla.js',
  demo: 'dist/demo/flights.js',
  web: 'dist/web/index.html',
  lib: 'dist/lib/index.mjs',
  examples: 'dist/run/example.js',
}

export const targetNames = Object.keys(products)

export function isStale(target) {
  const stampMs = modifiedMs(join(stateDir, target))
  if (stampMs === 0 || modifiedMs(join(root, products[target])) === 0) return true
  return sources[target].some((path) => newestMs(join(root, path)) > stampMs)
}

export function markBuilt(target, startedMs) {
  mkdirSync(stateDir, { recursive: true })
  const stamp = join(stateDir, target)
  writeFileSync(stamp, '')
  utimesSync(stamp, startedMs / 1000, startedMs / 1000)
}

/** Runs `work` while no other process builds. A lock whose owner died is taken over. */
export async function withBuildLock(work) {
  mkdirSync(join(root, '.cache'), { recursive: true })
  while (!tryLock()) await new Promise((resolve) => setTimeout(resolve, WAIT_MS))
  try {
    return await work()
  } finally {
    rmSync(lockPath, { force: true })
  }
}

function tryLock() {
  try {
    writeFileSync(lockPath, String(process.pid), { flag: 'wx' })
    return true
  } catch (error) {
    if (error.code !== 'EEXIST') throw error
  }
  if (!isOwnerAlive()) rmSync(lockPath, { force: true })
  return false
}

function isOwnerAlive() {
  try {
    const owner = Number(readFileSync(lockPath, 'utf8'))
    // Empty for the moment between creating and writing; only an old empty lock is dead.
    if (!owner) return Date.now() - statSync(lockPath).mtimeMs < 1000
    process.kill(owner, 0)
    return true
  } catch (error) {
    return error.code === 'EPERM'
  }
}

function modifiedMs(path) {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0
}

function newestMs(path) {
  const stat = statSync(path, { throwIfNoEntry: false })
  if (!stat) return 0
  if (!stat.isDirectory()) return stat.mtimeMs
  let newest = stat.mtimeMs
  for (const entry of readdirSync(path, { withFileTypes: true })) {
    newest = Math.max(newest, newestMs(join(path, entry.name)))
  }
  return newest
}
