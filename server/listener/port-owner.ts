/**
 * Which program listens on a port of this machine, as far as the system tells: on Linux, from /proc, and only of
 * programs that the caller may look at. A hint for people; nothing is decided by it.
 */
import { readdir, readFile, readlink } from 'node:fs/promises'

const LISTENING = '0A'

/** Such as `java, process 4711`; undefined when it cannot be known. */
export async function portOwner(port: number): Promise<string | undefined> {
  try {
    const sockets = await listeningSockets(port)
    if (sockets.size === 0) return undefined
    for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
      if (await holdsOne(pid, sockets)) return `${(await readFile(`/proc/${pid}/comm`, 'utf8')).trim()}, process ${pid}`
    }
  } catch {
    // Another system, or a process that ended meanwhile.
  }
  return undefined
}

/** The sockets' names as they stand behind file descriptors. Each line: number, local address, remote, state, …, inode. */
async function listeningSockets(port: number): Promise<Set<string>> {
  const hexPort = port.toString(16).toUpperCase().padStart(4, '0')
  const sockets = new Set<string>()
  for (const table of ['/proc/net/tcp', '/proc/net/tcp6']) {
    const lines = (await readFile(table, 'utf8').catch(() => '')).split('\n')
    for (const [, local, , state, , , , , , inode] of lines.map((line) => line.trim().split(/\s+/))) {
      if (state === LISTENING && local?.endsWith(`:${hexPort}`)) sockets.add(`socket:[${inode}]`)
    }
  }
  return sockets
}

async function holdsOne(pid: string, sockets: ReadonlySet<string>): Promise<boolean> {
  const folder = `/proc/${pid}/fd`
  for (const descriptor of await readdir(folder).catch(() => [])) {
    if (sockets.has(await readlink(`${folder}/${descriptor}`).catch(() => ''))) return true
  }
  return false
}
