/**
 * One relay per data folder: a lock file that holds the process id of its owner.
 *
 * Invariants: the file is only ever created where none is, so two processes cannot both believe that they made it; a
 * lock whose owner no longer lives (SIGKILL, power cut) is moved aside before a new one is made. Process ids are reused, so the owner's start time is kept beside
 * the id where the system tells it (Linux), and both must match for the owner to count as alive.
 */

import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const LOCK_NAME = 'relay.lock'
const ATTEMPTS_MAX = 10

export interface DataDirLock {
  /** Idempotent. A lock that was meanwhile taken by somebody else is left alone. */
  release(): void
}

/** Another relay works on the folder. The text is fit to be shown as it is. */
export class DataDirLockedError extends Error {
  constructor(dataDir: string, owner: string) {
    super(`data folder ${dataDir} is in use by another relay (${owner}); stop it, or choose another --data folder`)
    this.name = 'DataDirLockedError'
  }
}

/**
 * Takes the folder, creating it if missing.
 *
 * @throws DataDirLockedError when a living process holds it.
 */
export function lockDataDir(dataDir: string): DataDirLock {
  mkdirSync(dataDir, { recursive: true })
  const path = join(dataDir, LOCK_NAME)
  const mine = `${process.pid} ${startTimeOf(process.pid) ?? '-'}\n`
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
    if (createExclusively(path, mine)) return { release: () => release(path, mine) }
    const found = contentOf(path)
    if (found === undefined) continue
    if (isAlive(found)) throw new DataDirLockedError(dataDir, `process ${found.split(' ')[0]}`)
    moveAside(path, found)
  }
  throw new DataDirLockedError(dataDir, `${LOCK_NAME} keeps changing`)
}

/** Written elsewhere first and linked into place, so that nobody ever sees a lock that is still empty. */
function createExclusively(path: string, content: string): boolean {
  const draft = `${path}.new.${process.pid}`
  writeFileSync(draft, content)
  try {
    linkSync(draft, path)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    return createWithoutLinks(path, content)
  } finally {
    rmSync(draft, { force: true })
  }
}

/** For file systems that know no hard links (FAT, some network shares). */
function createWithoutLinks(path: string, content: string): boolean {
  try {
    writeFileSync(path, content, { flag: 'wx' })
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  }
}

/**
 * Renames a dead owner's lock away. Of two processes that see the same dead lock, the slower may rename the
 * faster one's new lock; it notices by the content and puts it back.
 */
function moveAside(path: string, expected: string): void {
  const aside = `${path}.${process.pid}`
  try {
    renameSync(path, aside)
  } catch {
    return
  }
  if (contentOf(aside) !== expected) createExclusively(path, contentOf(aside) ?? '')
  rmSync(aside, { force: true })
}

function isAlive(content: string): boolean {
  const [pidText = '', startTime = '-'] = content.trim().split(' ')
  const pid = Number(pidText)
  if (!Number.isSafeInteger(pid) || pid <= 0) return false
  try {
    process.kill(pid, 0)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false
  }
  const startTimeNow = startTimeOf(pid)
  return startTime === '-' || startTimeNow === undefined || startTime === startTimeNow
}

/** Field 22 of /proc/PID/stat, counted after the process name, which may hold blanks and brackets. */
function startTimeOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]
  } catch {
    return undefined
  }
}

function contentOf(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}

function release(path: string, mine: string): void {
  if (contentOf(path) === mine) rmSync(path, { force: true })
}
