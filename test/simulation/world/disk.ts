/**
 * The disk under a simulated relay: calls take time, can be caught half done by a crash, and fail.
 *
 * A failed sync is as Linux has it: the pages count as written from then on, are read back as they were meant to be, and
 * are not on the disk.
 */
import { type FileStat, type Files, type OpenFile, StorageError } from '../../../server/storage/files.ts'
import { MemoryFiles, type PowerCutModel } from '../../../server/storage/memory-files.ts'
import type { Dice } from './dice.ts'
import type { Probes } from './probes.ts'
import type { Process } from './process.ts'
import type { Trace } from './trace.ts'

/** How likely each is, at one call. */
export interface DiskTrouble {
  syncFails: number
  writeFails: number
  readFails: number
  /** Opening, renaming, removing. */
  nameFails: number
  writesShort: number
  stalls: number
}

export const NO_TROUBLE: DiskTrouble = {
  syncFails: 0,
  writeFails: 0,
  readFails: 0,
  nameFails: 0,
  writesShort: 0,
  stalls: 0,
}

type Call = 'open' | 'list' | 'stat' | 'remove' | 'rename' | 'link' | 'makeDir' | 'syncDir' | 'freeBytes'
type FileCall = 'read' | 'writev' | 'sync' | 'truncate' | 'size' | 'close'

/** `halfDone` is what may have happened when the process dies in the call. */
type Caller = <T>(
  name: Call | FileCall,
  path: string,
  effect: () => Promise<T>,
  halfDone?: () => Promise<unknown>,
) => Promise<T>

const NEVER = new Promise<never>(() => {})

/** What a call costs, in milliseconds: the least and the most. 0: mostly at once. */
const COSTS: Record<Call | FileCall, [number, number]> = {
  ...{ open: [0, 1], list: [0, 1], stat: [0, 1], freeBytes: [0, 1], read: [0, 2], size: [0, 0], close: [0, 0] },
  ...{ remove: [0.05, 5], rename: [0.05, 2], link: [0.05, 2], makeDir: [0.05, 2], truncate: [0.05, 2] },
  ...{ writev: [0.02, 2], sync: [0.3, 30], syncDir: [0.3, 20] },
}
const AT_ONCE = 0.9

export class Disk {
  memory = new MemoryFiles({ tracksPower: true })
  trouble: DiskTrouble = NO_TROUBLE
  readonly #dice: Dice
  readonly #trace: Trace
  readonly #probes: Probes

  constructor(dice: Dice, trace: Trace, probes: Probes) {
    this.#dice = dice
    this.#trace = trace
    this.#probes = probes
  }

  cut(model: PowerCutModel): void {
    this.#trace.add('disk', `power cut: ${model}`)
    this.memory = this.memory.powerCut(model, this.#dice)
  }

  /** The disk as one process sees it: its calls end with it. */
  files(process: Process): Files {
    const { memory } = this
    const underWay = new Set<() => void>()
    const releases: Array<() => Promise<void>> = []
    process.onKill(() => {
      for (const effect of underWay) if (this.#dice.chance(0.5)) effect()
      for (const release of releases) void release()
    })
    const call: Caller = async (name, path, effect, halfDone = effect) => {
      if (!process.isAlive) return NEVER
      const [least, most] = COSTS[name]
      if (least === 0 && this.#dice.chance(AT_ONCE)) return effect()
      const isStalled = this.trouble.stalls > 0 && this.#dice.chance(this.trouble.stalls)
      const costMs = isStalled ? this.#dice.between(100, 3_000) : this.#dice.skewed(Math.max(least, 0.01), most || 0.1)
      if (isStalled) this.#probes.reached('disk stalled')
      const caught = () => void halfDone().catch(() => {})
      // A call that changes something may have done it, or not, when its process dies.
      if (least > 0) underWay.add(caught)
      try {
        return await process.call(costMs, () => {
          underWay.delete(caught)
          if (least > 0) this.#trace.add('disk', `${name} ${path}`)
          return effect()
        })
      } finally {
        underWay.delete(caught)
      }
    }
    return {
      open: (path, mode) =>
        call('open', path, async () => {
          this.#fail('nameFails', 'open', path)
          return this.#file(await memory.open(path, mode), path, memory, call)
        }),
      list: (dir) => call('list', dir, () => memory.list(dir)),
      stat: (path): Promise<FileStat | undefined> => call('stat', path, () => memory.stat(path)),
      remove: (path) =>
        call('remove', path, async () => {
          this.#fail('nameFails', 'remove', path)
          return memory.remove(path)
        }),
      rename: (from, to) =>
        call('rename', from, async () => {
          this.#fail('nameFails', 'rename', from)
          return memory.rename(from, to)
        }),
      link: (from, to) =>
        call('link', from, async () => {
          this.#fail('nameFails', 'link', from)
          return memory.link(from, to)
        }),
      makeDir: (dir) => call('makeDir', dir, () => memory.makeDir(dir)),
      syncDir: (dir) => call('syncDir', dir, () => memory.syncDir(dir)),
      freeBytes: (dir) => call('freeBytes', dir, () => memory.freeBytes()),
      lock: async (dir) => {
        const unlock = await memory.lock(dir)
        releases.push(unlock)
        return unlock
      },
    }
  }

  #file(file: OpenFile, path: string, memory: MemoryFiles, call: Caller): OpenFile {
    return {
      read: (into, position) =>
        call('read', path, async () => {
          this.#fail('readFails', 'read', path)
          return file.read(into, position)
        }),
      writev: (pieces, position) => {
        const writeSome = () => file.writev([pieces[0]!.subarray(0, 1 + this.#dice.below(pieces[0]!.length))], position)
        const write = async () => {
          this.#fail('writeFails', 'writev', path)
          return this.#happens('writesShort') ? writeSome() : file.writev(pieces, position)
        }
        return call('writev', path, write, writeSome)
      },
      sync: async () => {
        if (this.#happens('syncFails')) {
          await call('sync', path, async () => memory.failSync(path, this.#dice))
          throw new StorageError('EIO', 'sync', path, 'simulated')
        }
        // What is written while a sync runs may be on disk after it, or not; and so may what it was asked for, before it.
        if (this.#dice.chance(0.5)) return call('sync', path, () => file.sync())
        await file.sync()
        return call('sync', path, async () => {})
      },
      truncate: (sizeBytes) => call('truncate', path, () => file.truncate(sizeBytes)),
      size: () => call('size', path, () => file.size()),
      close: () => call('close', path, () => file.close()),
    }
  }

  #happens(trouble: keyof DiskTrouble): boolean {
    const probability = this.trouble[trouble]
    if (probability === 0 || !this.#dice.chance(probability)) return false
    this.#probes.reached(`disk: ${trouble}`)
    return true
  }

  #fail(trouble: keyof DiskTrouble, operation: string, path: string): void {
    if (this.#happens(trouble)) throw new StorageError('EIO', operation, path, 'simulated')
  }
}
