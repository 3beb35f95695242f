/**
 * One process per data folder. Node has no flock, and a file with a process id in it lies after a crash or across
 * containers. A listening Unix socket inside the folder does not: the kernel drops it with the process.
 *
 * Each process listens on a socket with a name of its own first, then knocks at all others. Whoever finds one that
 * answers gives up. Of two that start at the same moment at least one gives up (maybe both), never none; and since no
 * name is used twice, removing a dead one can't hit a live one.
 */

import { randomUUID } from 'node:crypto'
import fs from 'node:fs'
import net from 'node:net'
import { StorageError } from './files.ts'

const PREFIX = 'lock.'
const SUFFIX = '.sock'

/** Unix socket paths end at about 107 bytes, so the folder is named by an open descriptor where that is possible. */
function shortFolder(dir: string): { path: string; close(): void } {
  if (process.platform !== 'linux') return { path: dir, close: () => {} }
  const fd = fs.openSync(dir, fs.constants.O_RDONLY)
  return { path: `/proc/self/fd/${fd}`, close: () => fs.closeSync(fd) }
}

function listen(path: string): Promise<net.Server> {
  return new Promise((resolve, reject) => {
    const server = net.createServer((socket) => {
      socket.on('error', () => {})
      socket.destroy()
    })
    server.once('error', reject)
    server.listen(path, () => {
      server.unref()
      resolve(server)
    })
  })
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect(path)
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}

export async function lockFolder(dir: string): Promise<() => Promise<void>> {
  let folder: ReturnType<typeof shortFolder>
  try {
    folder = shortFolder(dir)
  } catch (error) {
    throw new StorageError((error as NodeJS.ErrnoException).code ?? 'EIO', 'lock', dir, '', error)
  }
  const own = `${PREFIX}${randomUUID().slice(0, 8)}${SUFFIX}`
  const server = await listen(`${folder.path}/${own}`).catch((error) => {
    folder.close()
    throw new StorageError(error.code ?? 'EIO', 'lock', dir, '', error)
  })
  const release = () =>
    new Promise<void>((resolve) => {
      server.close(() => {
        folder.close()
        resolve()
      })
    })
  for (const name of fs.readdirSync(dir)) {
    if (!name.startsWith(PREFIX) || !name.endsWith(SUFFIX) || name === own) continue
    if (await answers(`${folder.path}/${name}`)) {
      await release()
      throw new StorageError('LOCKED', 'lock', dir, 'another running relay has this data folder')
    }
    fs.rmSync(`${dir}/${name}`, { force: true })
  }
  fs.chmodSync(`${dir}/${own}`, 0o600)
  return release
}
