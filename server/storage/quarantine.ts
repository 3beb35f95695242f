/**
 * Where a repair puts what it takes out of a data folder, under the same path: DATA/quarantine/TIME/topics/NAME.ID/0/...
 * It has its name there, durably, before it loses the one that it had. Nothing reads it again; a person may remove it.
 */
import type { Files } from './files.ts'
import { readFully, writeFully } from './files.ts'

const COPY_BYTES = 4 * 1024 * 1024

export class Quarantine {
  readonly dir: string
  readonly #files: Files
  readonly #root: string

  /** `root` is the data folder, `dir` a folder on the same file system. */
  constructor(files: Files, root: string, dir: string) {
    this.#files = files
    this.#root = root
    this.dir = dir
  }

  /** Gives the file a second name in the quarantine. */
  async keep(path: string): Promise<void> {
    const { folder, name } = await this.#placeOf(path)
    if (!(await this.#files.stat(`${folder}/${name}`))) await this.#files.link(path, `${folder}/${name}`)
    await this.#files.syncDir(folder)
  }

  /** The file goes; what is not there is no error. */
  async take(path: string): Promise<void> {
    if (!(await this.#files.stat(path))) return
    await this.keep(path)
    await this.#files.remove(path)
    await this.#files.syncDir(folderOf(path))
  }

  /** A folder with all that is in it. */
  async takeFolder(path: string): Promise<void> {
    const { folder, name } = await this.#placeOf(path)
    await this.#files.rename(path, `${folder}/${name}`)
    await this.#files.syncDir(folder)
    await this.#files.syncDir(folderOf(path))
  }

  /** A copy of bytes that will be cut off. */
  async copyPart(path: string, position: number, end: number): Promise<void> {
    const { folder, name } = await this.#placeOf(path)
    const target = `${folder}/${name}.from-byte-${position}`
    if (await this.#files.stat(target)) return
    const from = await this.#files.open(path, 'read')
    const to = await this.#files.open(target, 'create')
    try {
      for (let at = position; at < end; at += COPY_BYTES) {
        const bytes = new Uint8Array(Math.min(COPY_BYTES, end - at))
        await writeFully(to, [bytes.subarray(0, await readFully(from, bytes, at))], at - position, target)
      }
      await to.sync()
    } finally {
      await to.close()
      await from.close()
    }
    await this.#files.syncDir(folder)
  }

  async #placeOf(path: string): Promise<{ folder: string; name: string }> {
    const folder = `${this.dir}/${folderOf(path).slice(this.#root.length + 1)}`.replace(/\/+$/, '')
    await this.#files.makeDir(folder)
    return { folder, name: path.slice(path.lastIndexOf('/') + 1) }
  }
}

const folderOf = (path: string): string => path.slice(0, path.lastIndexOf('/'))
