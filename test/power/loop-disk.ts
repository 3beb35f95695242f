/**
 * A real file system in a file (loop mount) whose power can be cut: from one moment to the next nothing reaches the disk
 * any more, and what was not synced by then is gone after the next mount. Needs root, loop devices, mkfs and python3.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const run = promisify(execFile)

export const FILE_SYSTEMS = ['ext4', 'xfs'] as const
export type FileSystem = (typeof FILE_SYSTEMS)[number]

/** XFS wants no less than 300 MB. The files are sparse. */
const SIZE_BYTES: Record<FileSystem, number> = { ext4: 128 * 1024 * 1024, xfs: 320 * 1024 * 1024 }

/** Why there can be no such disk here; undefined when there can. */
export async function whyNot(kind: FileSystem): Promise<string | undefined> {
  if (process.platform !== 'linux') return 'only Linux has the shutdown call'
  if (process.getuid?.() !== 0) return 'mounting needs root'
  try {
    const disk = await LoopDisk.make(kind)
    try {
      await disk.cutPower('nothing')
      await disk.powerOn()
    } finally {
      await disk.destroy()
    }
    return undefined
  } catch (error) {
    return String(error).split('\n')[0]
  }
}

export class LoopDisk {
  readonly kind: FileSystem
  /** Where it is mounted. */
  readonly dir: string
  readonly #home: string
  readonly #switch: ChildProcess
  readonly #answers: AsyncIterator<string>
  #isMounted = false

  private constructor(kind: FileSystem, home: string) {
    this.kind = kind
    this.#home = home
    this.dir = join(home, 'disk')
    this.#switch = spawn('python3', [fileURLToPath(new URL('./power.py', import.meta.url))], {
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    // Without python3 the first cut says so.
    this.#switch.on('error', () => {})
    this.#answers = createInterface({ input: this.#switch.stdout! })[Symbol.asyncIterator]()
  }

  static async make(kind: FileSystem): Promise<LoopDisk> {
    const home = mkdtempSync(join(tmpdir(), 'ottla-power-'))
    const image = join(home, 'image')
    writeFileSync(image, '')
    truncateSync(image, SIZE_BYTES[kind])
    const disk = new LoopDisk(kind, home)
    try {
      await run(`mkfs.${kind}`, ['-q', image])
      await run('mkdir', [disk.dir])
      await disk.powerOn()
      return disk
    } catch (error) {
      await disk.destroy()
      throw error
    }
  }

  /** `journal`: what the file system's journal holds in memory still gets out. `nothing`: not even that. */
  async cutPower(whatGetsOut: 'journal' | 'nothing'): Promise<void> {
    this.#switch.stdin!.write(`${this.dir} ${whatGetsOut === 'journal' ? 1 : 2}\n`)
    const { value } = await this.#answers.next()
    if (value !== 'cut') throw new Error('python3 could not cut the power')
  }

  /** Mounts it again; the file system repairs itself from its journal. All files on it must be closed. */
  async powerOn(): Promise<void> {
    if (this.#isMounted) await run('umount', [this.dir])
    this.#isMounted = false
    await run('mount', ['-o', 'loop', join(this.#home, 'image'), this.dir])
    this.#isMounted = true
  }

  async destroy(): Promise<void> {
    this.#switch.stdin!.end()
    if (this.#isMounted) await run('umount', [this.dir]).catch(() => run('umount', ['-l', this.dir]))
    this.#isMounted = false
    rmSync(this.#home, { recursive: true, force: true })
  }
}
