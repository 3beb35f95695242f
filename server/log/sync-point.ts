/**
 * `synced`: how far the active segment is known to be durable. Written after a commit when nothing else waits, not synced
 * itself: what it says is true whenever it can be read. After the process dies it is exact (the kernel still has it); after
 * a power cut it may be older. With it, damage or a missing piece below that point is never taken for a torn tail.
 *
 * Two slots, 512 bytes apart, written in turn, so that a torn write leaves the other:
 *   u32 "OTSY", f64 counter, f64 segment base offset, f64 position, f64 end offset, u32 CRC-32C
 */
import type { Files, OpenFile } from '../storage/files.ts'
import { isMissing, readWholeFile } from '../storage/files.ts'
import { logCrc32c } from './checksum.ts'

export const SYNC_POINT_NAME = 'synced'
const MAGIC = 0x4f545359
const SLOT_BYTES = 512
const USED_BYTES = 40

export interface SyncPoint {
  counter: number
  baseOffset: number
  position: number
  endOffset: number
}

function encode(point: SyncPoint): Uint8Array {
  const bytes = new Uint8Array(USED_BYTES)
  const view = new DataView(bytes.buffer)
  view.setUint32(0, MAGIC)
  view.setFloat64(4, point.counter)
  view.setFloat64(12, point.baseOffset)
  view.setFloat64(20, point.position)
  view.setFloat64(28, point.endOffset)
  view.setUint32(36, logCrc32c(bytes, 0, 36))
  return bytes
}

function decode(bytes: Uint8Array, at: number): SyncPoint | undefined {
  if (bytes.length < at + USED_BYTES) return undefined
  const view = new DataView(bytes.buffer, bytes.byteOffset + at, USED_BYTES)
  if (view.getUint32(0) !== MAGIC || view.getUint32(36) !== logCrc32c(bytes, at, at + 36)) return undefined
  return {
    counter: view.getFloat64(4),
    baseOffset: view.getFloat64(12),
    position: view.getFloat64(20),
    endOffset: view.getFloat64(28),
  }
}

export async function readSyncPoint(files: Files, dir: string): Promise<SyncPoint | undefined> {
  const bytes = await readWholeFile(files, `${dir}/${SYNC_POINT_NAME}`)
  if (!bytes) return undefined
  const slots = [decode(bytes, 0), decode(bytes, SLOT_BYTES)].filter((slot) => slot !== undefined)
  return slots.sort((a, b) => b.counter - a.counter)[0]
}

/** Keeps the file up to date without anybody waiting for it. A failure costs precision, not data, so it is let go. */
export class SyncPointWriter {
  readonly #files: Files
  readonly #path: string
  #file: OpenFile | undefined
  #counter: number
  #pending: Omit<SyncPoint, 'counter'> | undefined
  #running: Promise<void> | undefined

  constructor(files: Files, dir: string, lastCounter: number) {
    this.#files = files
    this.#path = `${dir}/${SYNC_POINT_NAME}`
    this.#counter = lastCounter
  }

  note(baseOffset: number, position: number, endOffset: number): void {
    this.#pending = { baseOffset, position, endOffset }
    this.#running ??= this.#run()
  }

  async #run(): Promise<void> {
    try {
      this.#file ??= await this.#open()
      for (let point = this.#pending; point; point = this.#pending) {
        this.#pending = undefined
        this.#counter++
        await this.#file.writev([encode({ ...point, counter: this.#counter })], (this.#counter % 2) * SLOT_BYTES)
      }
    } catch {
      this.#pending = undefined
    } finally {
      this.#running = undefined
    }
  }

  async #open(): Promise<OpenFile> {
    try {
      return await this.#files.open(this.#path, 'edit')
    } catch (error) {
      if (!isMissing(error)) throw error
      return await this.#files.open(this.#path, 'create')
    }
  }

  async close(): Promise<void> {
    await this.#running
    await this.#file?.close()
    this.#file = undefined
  }
}
