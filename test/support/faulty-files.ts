/**
 * Any Files, made to fail on purpose: the n-th call that matches fails with a code, writes short, or waits until it is
 * let go. Each fault counts how often it happened; a test that asked for a fault should check that it did.
 */
import type { FileStat, Files, OpenFile, OpenMode } from '../../server/storage/files.ts'
import { StorageError } from '../../server/storage/files.ts'

export type DiskCall =
  | 'open'
  | 'list'
  | 'stat'
  | 'remove'
  | 'rename'
  | 'link'
  | 'makeDir'
  | 'syncDir'
  | 'freeBytes'
  | 'read'
  | 'writev'
  | 'sync'
  | 'truncate'
  | 'size'
  | 'close'

export interface FaultPlan {
  call: DiskCall | 'any'
  /** Only calls on paths that match. */
  path?: RegExp
  /** The first matching call that is hit, from 1. Default 1. */
  at?: number
  /** How many matching calls in a row are hit. Default 1. */
  times?: number
  /** Fails with this code ... */
  code?: string
  /** ... or, for writev, writes only so many bytes ... */
  shortBytes?: number
  /** ... or waits for this before it goes on. What is awaited anew for each call may be late anew. */
  until?: PromiseLike<unknown>
}

export interface Fault {
  /** How often it struck. */
  readonly count: number
  heal(): void
}

interface ActiveFault extends FaultPlan {
  seen: number
  count: number
}

export class FaultyFiles implements Files {
  readonly #inner: Files
  #faults: ActiveFault[] = []
  /** Called before every call, with its number from 1. */
  onCall: ((call: DiskCall, path: string, number: number) => void) | undefined
  calls = 0

  constructor(inner: Files) {
    this.#inner = inner
  }

  fail(plan: FaultPlan): Fault {
    const fault: ActiveFault = { ...plan, seen: 0, count: 0 }
    this.#faults.push(fault)
    return {
      get count() {
        return fault.count
      },
      heal: () => {
        this.#faults = this.#faults.filter((other) => other !== fault)
      },
    }
  }

  /** Returns the limit for a short write, if one is due. */
  async #meet(call: DiskCall, path: string): Promise<number | undefined> {
    this.calls++
    this.onCall?.(call, path, this.calls)
    for (const fault of this.#faults) {
      if ((fault.call !== 'any' && fault.call !== call) || (fault.path && !fault.path.test(path))) continue
      fault.seen++
      const first = fault.at ?? 1
      if (fault.seen < first || fault.seen >= first + (fault.times ?? 1)) continue
      fault.count++
      if (fault.until) await fault.until
      if (fault.code) throw new StorageError(fault.code, call, path, 'injected')
      if (fault.shortBytes !== undefined) return fault.shortBytes
    }
    return undefined
  }

  async open(path: string, mode: OpenMode): Promise<OpenFile> {
    await this.#meet('open', path)
    const file = await this.#inner.open(path, mode)
    return {
      read: async (into, position) => {
        await this.#meet('read', path)
        return file.read(into, position)
      },
      writev: async (pieces, position) => {
        const limit = await this.#meet('writev', path)
        if (limit === undefined) return file.writev(pieces, position)
        return file.writev([firstBytes(pieces, limit)], position)
      },
      sync: async () => {
        await this.#meet('sync', path)
        return file.sync()
      },
      truncate: async (sizeBytes) => {
        await this.#meet('truncate', path)
        return file.truncate(sizeBytes)
      },
      size: async () => {
        await this.#meet('size', path)
        return file.size()
      },
      close: async () => {
        await this.#meet('close', path)
        return file.close()
      },
    }
  }

  async list(dir: string): Promise<string[]> {
    await this.#meet('list', dir)
    return this.#inner.list(dir)
  }

  async stat(path: string): Promise<FileStat | undefined> {
    await this.#meet('stat', path)
    return this.#inner.stat(path)
  }

  async remove(path: string): Promise<void> {
    await this.#meet('remove', path)
    return this.#inner.remove(path)
  }

  async rename(from: string, to: string): Promise<void> {
    await this.#meet('rename', from)
    return this.#inner.rename(from, to)
  }

  async link(from: string, to: string): Promise<void> {
    await this.#meet('link', from)
    return this.#inner.link(from, to)
  }

  async makeDir(dir: string): Promise<void> {
    await this.#meet('makeDir', dir)
    return this.#inner.makeDir(dir)
  }

  async syncDir(dir: string): Promise<void> {
    await this.#meet('syncDir', dir)
    return this.#inner.syncDir(dir)
  }

  async freeBytes(dir: string): Promise<number> {
    await this.#meet('freeBytes', dir)
    return this.#inner.freeBytes(dir)
  }

  async totalBytes(dir: string): Promise<number> {
    return (await this.#inner.totalBytes?.(dir)) ?? Number.POSITIVE_INFINITY
  }

  lock(dir: string): Promise<() => Promise<void>> {
    return this.#inner.lock(dir)
  }
}

function firstBytes(pieces: readonly Uint8Array[], count: number): Uint8Array {
  const bytes = new Uint8Array(count)
  let at = 0
  for (const piece of pieces) {
    const part = piece.subarray(0, count - at)
    bytes.set(part, at)
    at += part.length
    if (at === count) break
  }
  return bytes.subarray(0, at)
}
