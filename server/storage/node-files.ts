/**
 * Files on a real disk. Folders 0700, files 0600. Callback calls of `node:fs`: half the cost of its promise handles.
 */
import fs from 'node:fs'
import { dirname } from 'node:path'
import type { FileStat, Files, OpenFile, OpenMode } from './files.ts'
import { StorageError } from './files.ts'
import { lockFolder } from './folder-lock.ts'

const FILE_MODE = 0o600
const FOLDER_MODE = 0o700
const FLAGS: Record<OpenMode, number> = {
  create: fs.constants.O_RDWR | fs.constants.O_CREAT | fs.constants.O_EXCL,
  edit: fs.constants.O_RDWR,
  read: fs.constants.O_RDONLY,
}

type Done<T> = (error: NodeJS.ErrnoException | null, value: T) => void

/** Runs one callback call; a failure becomes a StorageError that names the call and the path. */
function call<T>(operation: string, path: string, start: (done: Done<T>) => void): Promise<T> {
  return new Promise((resolve, reject) => {
    start((error, value) => {
      if (error) reject(storageErrorFrom(error, operation, path))
      else resolve(value)
    })
  })
}

const storageErrorFrom = (error: NodeJS.ErrnoException, operation: string, path: string) =>
  new StorageError(error.code ?? 'EIO', operation, path, '', error)

class NodeFile implements OpenFile {
  readonly #fd: number
  readonly #path: string
  #closed = false

  constructor(fd: number, path: string) {
    this.#fd = fd
    this.#path = path
  }

  read(into: Uint8Array, position: number): Promise<number> {
    return call('read', this.#path, (done: Done<number>) => fs.read(this.#fd, into, 0, into.length, position, done))
  }

  writev(pieces: readonly Uint8Array[], position: number): Promise<number> {
    return call('writev', this.#path, (done: Done<number>) => {
      if (pieces.length === 1) fs.write(this.#fd, pieces[0]!, 0, pieces[0]!.length, position, done)
      else fs.writev(this.#fd, pieces as Uint8Array[], position, done)
    })
  }

  sync(): Promise<void> {
    return call('fdatasync', this.#path, (done: Done<void>) => fs.fdatasync(this.#fd, done as fs.NoParamCallback))
  }

  truncate(sizeBytes: number): Promise<void> {
    return call('ftruncate', this.#path, (done: Done<void>) =>
      fs.ftruncate(this.#fd, sizeBytes, done as fs.NoParamCallback),
    )
  }

  async size(): Promise<number> {
    const stats = await call('fstat', this.#path, (done: Done<fs.Stats>) => fs.fstat(this.#fd, done))
    return stats.size
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    await call('close', this.#path, (done: Done<void>) => fs.close(this.#fd, done as fs.NoParamCallback))
  }
}

class NodeFiles implements Files {
  async open(path: string, mode: OpenMode): Promise<OpenFile> {
    const fd = await call('open', path, (done: Done<number>) => fs.open(path, FLAGS[mode], FILE_MODE, done))
    return new NodeFile(fd, path)
  }

  async list(dir: string): Promise<string[]> {
    const names = await call('readdir', dir, (done: Done<string[]>) => fs.readdir(dir, done))
    return names.sort()
  }

  async stat(path: string): Promise<FileStat | undefined> {
    try {
      const stats = await call('stat', path, (done: Done<fs.Stats>) => fs.stat(path, done))
      return { sizeBytes: stats.size, isFolder: stats.isDirectory(), isOpenToOthers: (stats.mode & 0o044) !== 0 }
    } catch (error) {
      if (error instanceof StorageError && error.code === 'ENOENT') return undefined
      throw error
    }
  }

  async remove(path: string): Promise<void> {
    const found = await this.stat(path)
    if (found?.isFolder) await call('rmdir', path, (done: Done<void>) => fs.rmdir(path, done as fs.NoParamCallback))
    else await call('unlink', path, (done: Done<void>) => fs.unlink(path, done as fs.NoParamCallback))
  }

  rename(from: string, to: string): Promise<void> {
    return call('rename', from, (done: Done<void>) => fs.rename(from, to, done as fs.NoParamCallback))
  }

  link(from: string, to: string): Promise<void> {
    return call('link', from, (done: Done<void>) => fs.link(from, to, done as fs.NoParamCallback))
  }

  async makeDir(dir: string): Promise<void> {
    if ((await this.stat(dir))?.isFolder) return
    const parent = dirname(dir)
    if (parent !== dir) await this.makeDir(parent)
    try {
      await call('mkdir', dir, (done: Done<void>) => fs.mkdir(dir, FOLDER_MODE, done as fs.NoParamCallback))
    } catch (error) {
      if (!(error instanceof StorageError && error.code === 'EEXIST')) throw error
    }
    await this.syncDir(parent)
  }

  async syncDir(dir: string): Promise<void> {
    // Windows can't open a folder; NTFS journals names by itself.
    if (process.platform === 'win32') return
    const fd = await call('open', dir, (done: Done<number>) => fs.open(dir, fs.constants.O_RDONLY, done))
    try {
      await call('fsync', dir, (done: Done<void>) => fs.fsync(fd, done as fs.NoParamCallback))
    } finally {
      await call('close', dir, (done: Done<void>) => fs.close(fd, done as fs.NoParamCallback))
    }
  }

  async freeBytes(dir: string): Promise<number> {
    const stats = await call('statfs', dir, (done: Done<fs.StatsFs>) => fs.statfs(dir, done))
    return stats.bavail * stats.bsize
  }

  async totalBytes(dir: string): Promise<number> {
    const stats = await call('statfs', dir, (done: Done<fs.StatsFs>) => fs.statfs(dir, done))
    return stats.blocks * stats.bsize
  }

  lock(dir: string): Promise<() => Promise<void>> {
    return lockFolder(dir)
  }
}

export const nodeFiles: Files = new NodeFiles()
