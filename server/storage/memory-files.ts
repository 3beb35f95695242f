/**
 * Files in memory: the disk of a relay that keeps nothing, and the disk of the crash tests.
 *
 * With `tracksPower` each file remembers what was written since its last sync, and each folder which names changed since
 * its last syncDir. `powerCut(model)` then gives the disk that a machine might find when power comes back, while this one
 * goes on: one workload can be cut at every call, by every model.
 *
 * A sync makes durable what was written before it began, also when later writes came while it ran.
 */
import type { Random } from '../../protocol/lib/random.ts'
import { randomBelow } from '../../protocol/lib/random.ts'
import type { FileStat, Files, OpenFile, OpenMode } from './files.ts'
import { StorageError } from './files.ts'

/**
 * What survives of that which was not synced.
 *  - `kept`: everything (a killed process; the kernel lives on)
 *  - `dropped`: nothing
 *  - `subset`: each 4 KiB block of each write or not, by chance; a prefix of the folder's changes
 *  - `torn512`, `torn4096`: writes in order up to a cut at such a boundary; all names
 *  - `nameless`: content as `kept`, but no name that was not synced
 */
export type PowerCutModel = 'kept' | 'dropped' | 'subset' | 'torn512' | 'torn4096' | 'nameless'
export const POWER_CUT_MODELS: readonly PowerCutModel[] = [
  'kept',
  'dropped',
  'subset',
  'torn512',
  'torn4096',
  'nameless',
]

type Change = { at: number; bytes: Uint8Array } | { truncateTo: number }

/** A growing array of bytes. */
class Content {
  #bytes = new Uint8Array(0)
  size = 0

  write(bytes: Uint8Array, at: number): void {
    const end = at + bytes.length
    if (end > this.#bytes.length) this.#grow(end)
    this.#bytes.set(bytes, at)
    this.size = Math.max(this.size, end)
  }

  truncate(size: number): void {
    if (size > this.#bytes.length) this.#grow(size)
    if (size < this.size) this.#bytes.fill(0, size, this.size)
    this.size = size
  }

  read(into: Uint8Array, at: number): number {
    if (at >= this.size) return 0
    const part = this.#bytes.subarray(at, Math.min(this.size, at + into.length))
    into.set(part)
    return part.length
  }

  copy(): Content {
    const copy = new Content()
    copy.write(this.#bytes.subarray(0, this.size), 0)
    return copy
  }

  apply(change: Change): void {
    if ('truncateTo' in change) this.truncate(change.truncateTo)
    else this.write(change.bytes, change.at)
  }

  #grow(size: number): void {
    const grown = new Uint8Array(Math.max(size, this.#bytes.length * 2, 4096))
    grown.set(this.#bytes.subarray(0, this.size))
    this.#bytes = grown
  }
}

class Inode {
  readonly live: Content
  synced: Content
  unsynced: Change[] = []

  constructor(content = new Content()) {
    this.live = content
    this.synced = content.copy()
  }

  sync(): void {
    for (const change of this.unsynced) this.synced.apply(change)
    this.unsynced = []
  }

  /** Some of what waits reaches the disk, the rest never will, and nothing shows which. */
  failSync(random: Random): void {
    for (const change of this.unsynced) if (random.next() < 0.5) this.synced.apply(change)
    this.unsynced = []
  }

  afterPowerCut(model: PowerCutModel, random: Random): Inode {
    if (model === 'kept' || model === 'nameless') return new Inode(this.live.copy())
    const content = this.synced.copy()
    if (model === 'dropped') return new Inode(content)
    if (model === 'subset') for (const change of this.unsynced) applySubset(content, change, random)
    else applyTorn(content, this.unsynced, model === 'torn512' ? 512 : 4096, random)
    return new Inode(content)
  }
}

function applySubset(content: Content, change: Change, random: Random): void {
  if ('truncateTo' in change) {
    if (random.next() < 0.5) content.apply(change)
    return
  }
  const end = change.at + change.bytes.length
  for (let at = change.at; at < end; ) {
    const next = Math.min(end, (Math.floor(at / 4096) + 1) * 4096)
    if (random.next() < 0.5) content.write(change.bytes.subarray(at - change.at, next - change.at), at)
    at = next
  }
}

function applyTorn(content: Content, changes: readonly Change[], boundary: number, random: Random): void {
  const whole = randomBelow(random, changes.length + 1)
  for (const change of changes.slice(0, whole)) content.apply(change)
  const torn = changes[whole]
  if (!torn || 'truncateTo' in torn) return
  const cut = Math.floor((torn.at + randomBelow(random, torn.bytes.length + 1)) / boundary) * boundary - torn.at
  if (cut > 0) content.write(torn.bytes.subarray(0, cut), torn.at)
}

type NameChange = { name: string; inode: Inode | undefined }

class Folder {
  names = new Map<string, Inode>()
  synced = new Map<string, Inode>()
  unsynced: NameChange[] = []

  change(...changes: NameChange[]): void {
    for (const change of changes) {
      if (change.inode) this.names.set(change.name, change.inode)
      else this.names.delete(change.name)
      this.unsynced.push(change)
    }
  }

  sync(): void {
    this.synced = new Map(this.names)
    this.unsynced = []
  }

  namesAfterPowerCut(model: PowerCutModel, random: Random): Map<string, Inode> {
    if (model === 'kept' || model === 'torn512' || model === 'torn4096') return this.names
    const names = new Map(this.synced)
    const survivors = model === 'subset' ? randomBelow(random, this.unsynced.length + 1) : 0
    for (const { name, inode } of this.unsynced.slice(0, survivors)) {
      if (inode) names.set(name, inode)
      else names.delete(name)
    }
    return names
  }
}

function split(path: string): { dir: string; name: string } {
  const slash = path.lastIndexOf('/')
  return { dir: path.slice(0, slash) || '/', name: path.slice(slash + 1) }
}

export interface MemoryFilesOptions {
  /** Remember what is not synced, for `powerCut`. Costs a copy of every write. Default false. */
  tracksPower?: boolean
  /** Writes beyond this many bytes in all fail with ENOSPC. Default: no limit. */
  capacityBytes?: number
}

export class MemoryFiles implements Files {
  #folders = new Map<string, Folder>([['/', new Folder()]])
  #locks = new Set<string>()
  readonly #tracksPower: boolean
  capacityBytes: number

  constructor(options: MemoryFilesOptions = {}) {
    this.#tracksPower = options.tracksPower ?? false
    this.capacityBytes = options.capacityBytes ?? Number.POSITIVE_INFINITY
  }

  async open(path: string, mode: OpenMode): Promise<OpenFile> {
    const { dir, name } = split(path)
    const folder = this.#folder(dir, 'open')
    let inode = folder.names.get(name)
    if (mode === 'create') {
      if (inode) throw new StorageError('EEXIST', 'open', path)
      inode = new Inode()
      folder.change({ name, inode })
    }
    if (!inode) throw new StorageError('ENOENT', 'open', path)
    return this.#handle(inode, path)
  }

  #handle(inode: Inode, path: string): OpenFile {
    let isOpen = true
    const use = (operation: string) => {
      if (!isOpen) throw new StorageError('EBADF', operation, path)
      return inode
    }
    return {
      read: async (into, position) => use('read').live.read(into, position),
      writev: async (pieces, position) => this.#write(use('writev'), pieces, position, path),
      sync: async () => use('sync').sync(),
      truncate: async (sizeBytes) => {
        use('truncate').live.truncate(sizeBytes)
        if (this.#tracksPower) inode.unsynced.push({ truncateTo: sizeBytes })
      },
      size: async () => use('size').live.size,
      close: async () => {
        isOpen = false
      },
    }
  }

  #write(inode: Inode, pieces: readonly Uint8Array[], position: number, path: string): number {
    let at = position
    for (const piece of pieces) {
      const room =
        this.capacityBytes === Number.POSITIVE_INFINITY ? this.capacityBytes : this.capacityBytes - this.usedBytes
      const grows = Math.max(0, at + piece.length - inode.live.size)
      if (grows > room) {
        // As a file system does: what fits is written, and only a write of nothing at all is an error.
        const fits = Math.max(0, piece.length - (grows - Math.max(0, room)))
        if (fits > 0) at += this.#writePiece(inode, piece.subarray(0, fits), at)
        if (at === position) throw new StorageError('ENOSPC', 'writev', path)
        return at - position
      }
      at += this.#writePiece(inode, piece, at)
    }
    return at - position
  }

  #writePiece(inode: Inode, piece: Uint8Array, at: number): number {
    inode.live.write(piece, at)
    if (this.#tracksPower) inode.unsynced.push({ at, bytes: piece.slice() })
    return piece.length
  }

  async list(dir: string): Promise<string[]> {
    const names = [...this.#folder(dir, 'list').names.keys()]
    const prefix = dir === '/' ? '/' : `${dir}/`
    for (const path of this.#folders.keys()) {
      if (path !== '/' && path.startsWith(prefix) && !path.slice(prefix.length).includes('/')) {
        names.push(path.slice(prefix.length))
      }
    }
    return names.sort()
  }

  async stat(path: string): Promise<FileStat | undefined> {
    if (this.#folders.has(path)) return { sizeBytes: 0, isFolder: true }
    const { dir, name } = split(path)
    const inode = this.#folders.get(dir)?.names.get(name)
    return inode && { sizeBytes: inode.live.size, isFolder: false }
  }

  async remove(path: string): Promise<void> {
    if (this.#folders.has(path)) {
      if ((await this.list(path)).length > 0) throw new StorageError('ENOTEMPTY', 'remove', path)
      this.#folders.delete(path)
      return
    }
    const { dir, name } = split(path)
    const folder = this.#folder(dir, 'remove')
    if (!folder.names.has(name)) throw new StorageError('ENOENT', 'remove', path)
    folder.change({ name, inode: undefined })
  }

  async rename(from: string, to: string): Promise<void> {
    const source = split(from)
    const target = split(to)
    if (this.#folders.has(from)) return this.#renameFolder(from, to)
    const inode = this.#folder(source.dir, 'rename').names.get(source.name)
    if (!inode) throw new StorageError('ENOENT', 'rename', from)
    this.#folder(target.dir, 'rename').change({ name: target.name, inode })
    this.#folder(source.dir, 'rename').change({ name: source.name, inode: undefined })
  }

  async link(from: string, to: string): Promise<void> {
    const source = split(from)
    const target = split(to)
    const inode = this.#folder(source.dir, 'link').names.get(source.name)
    if (!inode) throw new StorageError('ENOENT', 'link', from)
    const folder = this.#folder(target.dir, 'link')
    if (folder.names.has(target.name)) throw new StorageError('EEXIST', 'link', to)
    folder.change({ name: target.name, inode })
  }

  #renameFolder(from: string, to: string): void {
    for (const path of [...this.#folders.keys()]) {
      if (path !== from && !path.startsWith(`${from}/`)) continue
      this.#folders.set(to + path.slice(from.length), this.#folders.get(path)!)
      this.#folders.delete(path)
    }
  }

  async makeDir(dir: string): Promise<void> {
    for (let path = dir; path !== '/' && path !== ''; path = split(path).dir) {
      if (!this.#folders.has(path)) this.#folders.set(path, new Folder())
    }
  }

  async syncDir(dir: string): Promise<void> {
    this.#folder(dir, 'syncDir').sync()
  }

  async freeBytes(): Promise<number> {
    return this.capacityBytes - this.usedBytes
  }

  async totalBytes(): Promise<number> {
    return this.capacityBytes
  }

  async lock(dir: string): Promise<() => Promise<void>> {
    if (this.#locks.has(dir)) throw new StorageError('LOCKED', 'lock', dir)
    this.#locks.add(dir)
    return async () => {
      this.#locks.delete(dir)
    }
  }

  /**
   * A sync of this file fails, as the kernel has it: from now on its pages count as written, the next sync succeeds, and
   * only a power cut shows what is missing. Needs `tracksPower`.
   */
  failSync(path: string, random: Random): void {
    const { dir, name } = split(path)
    this.#folders.get(dir)?.names.get(name)?.failSync(random)
  }

  get usedBytes(): number {
    const inodes = new Set([...this.#folders.values()].flatMap((folder) => [...folder.names.values()]))
    let used = 0
    for (const inode of inodes) used += inode.live.size
    return used
  }

  /** The disk as it may be found when power comes back. This one is not changed. Needs `tracksPower`. */
  powerCut(model: PowerCutModel, random: Random): MemoryFiles {
    const after = new MemoryFiles({ tracksPower: this.#tracksPower, capacityBytes: this.capacityBytes })
    const survivors = new Map<Inode, Inode>()
    for (const [dir, folder] of this.#folders) {
      const copy = new Folder()
      for (const [name, inode] of folder.namesAfterPowerCut(model, random)) {
        let survivor = survivors.get(inode)
        if (!survivor) {
          survivor = inode.afterPowerCut(model, random)
          survivors.set(inode, survivor)
        }
        copy.names.set(name, survivor)
      }
      copy.sync()
      after.#folders.set(dir, copy)
    }
    return after
  }

  #folder(dir: string, operation: string): Folder {
    const folder = this.#folders.get(dir)
    if (!folder) throw new StorageError('ENOENT', operation, dir)
    return folder
  }
}
