/**
 * Adds to package-lock.json the platform packages that npm left out: `node scripts/complete-lockfile.mjs`.
 *
 * When a registry (a mirror, say) lacks an optional package, `npm install` drops it from the lock file, and `npm ci`
 * then refuses that very file as incomplete, on any machine. An entry with version, system and processor is enough for
 * both: where it doesn't fit it is skipped without being asked for. Run it after `npm install` has changed the lock
 * file. Entries made here have no checksum; the next install on a machine that needs one fills it in.
 */

import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const SYSTEMS = ['aix', 'android', 'darwin', 'freebsd', 'linux', 'netbsd', 'openbsd', 'openharmony', 'sunos', 'win32']
const PROCESSORS = ['arm', 'arm64', 'ia32', 'loong64', 'ppc64', 'riscv64', 's390x', 'x64']

const path = fileURLToPath(new URL('../package-lock.json', import.meta.url))
const lock = JSON.parse(readFileSync(path, 'utf8'))
const added = []

for (const [parentPath, parent] of Object.entries(lock.packages)) {
  if (parentPath === '') continue
  for (const [name, range] of Object.entries(parent.optionalDependencies ?? {})) {
    const platform = platformOf(name)
    // Only exact versions can be known without asking the registry.
    if (!platform || !/^\d+\.\d+\.\d+/.test(range) || isLocked(name)) continue
    const { dev } = parent
    lock.packages[`node_modules/${name}`] = { version: range, ...platform, ...(dev ? { dev } : {}), optional: true }
    added.push(`${name}@${range}`)
  }
}

if (added.length > 0) {
  lock.packages = Object.fromEntries(Object.entries(lock.packages).sort(([a], [b]) => a.localeCompare(b, 'en')))
  writeFileSync(path, `${JSON.stringify(lock, null, 2)}\n`)
}
console.log(added.length > 0 ? `added ${added.length}: ${added.join(', ')}` : 'complete already')

function isLocked(name) {
  return Object.keys(lock.packages).some((each) => each.endsWith(`node_modules/${name}`))
}

/** `rollup-linux-x64-musl` says for which machines it is; undefined for a name that doesn't. */
function platformOf(name) {
  const words = name.split(/[-/]/)
  const os = SYSTEMS.find((system) => words.includes(system))
  const cpu = PROCESSORS.find((processor) => words.includes(processor))
  if (!os || !cpu) return undefined
  const libc = words.some((word) => word.startsWith('musl'))
    ? 'musl'
    : words.some((w) => w.startsWith('gnu'))
      ? 'glibc'
      : ''
  return { cpu: [cpu], os: [os], ...(os === 'linux' && libc ? { libc: [libc] } : {}) }
}
