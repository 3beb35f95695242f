/**
 * One file of a log: whole batches, one after another, from `baseOffset` on. Bytes below `sizeBytes` are durable and hold
 * the offsets below `endOffset`; what lies beyond is a write that is not yet.
 *
 * The file opens when it is first used. Whoever reads holds the segment for that long; one that was dropped by retention
 * is closed and deleted when its last reader is done.
 */
import type { Files, OpenFile } from '../storage/files.ts'
import { indexNameOf, type SegmentFile, segmentNameOf } from './log-names.ts'
import type { SealedSegment } from './manifest.ts'
import type { Closable, OpenFileLimit } from './open-file-limit.ts'
import type { SparseIndex } from './sparse-index.ts'

export interface SegmentOptions {
  files: Files
  dir: string
  baseOffset: number
  compacted?: SegmentFile['compacted']
  limit: OpenFileLimit
}

export class Segment implements Closable {
  readonly baseOffset: number
  readonly compacted: SegmentFile['compacted']
  readonly name: string
  readonly #files: Files
  readonly #dir: string
  readonly #limit: OpenFileLimit
  endOffset: number
  sizeBytes = 0
  maxTimestamp = -1
  isSealed = false
  /** Wall clock at its first append, where that is known. */
  sinceMs: number | undefined
  /** The same at the last append of a batch without a timestamp. */
  writtenMs: number | undefined
  /** From when on compaction may drop tombstones or markers in it. */
  horizonMs: number | undefined
  /** Present while loaded; always present for the segment that is written to. */
  index: SparseIndex | undefined
  /** What the index would say, while it is not loaded. */
  #abortedFrom = Number.POSITIVE_INFINITY
  #opening: Promise<OpenFile> | undefined
  #users = 0
  #whenUnused: (() => void) | undefined

  constructor(options: SegmentOptions) {
    this.baseOffset = options.baseOffset
    this.compacted = options.compacted
    this.endOffset = options.baseOffset
    this.name = segmentNameOf(options)
    this.#files = options.files
    this.#dir = options.dir
    this.#limit = options.limit
  }

  get path(): string {
    return `${this.#dir}/${this.name}`
  }

  get indexPath(): string {
    return `${this.#dir}/${indexNameOf(this)}`
  }

  /** How young it is: by its records, or where none of them has a timestamp by when they were written. */
  get newestMs(): number {
    return this.maxTimestamp < 0 ? (this.writtenMs ?? this.maxTimestamp) : this.maxTimestamp
  }

  get bounds() {
    return { baseOffset: this.baseOffset, endOffset: this.endOffset, sizeBytes: this.sizeBytes }
  }

  /** The least first offset of transactions that were aborted here; infinite when there is none. */
  get abortedFrom(): number {
    return this.index?.aborted.from ?? this.#abortedFrom
  }

  /** What the manifest says of it once it is sealed. */
  sealedEntry(): SealedSegment {
    const { baseOffset, endOffset, sizeBytes, maxTimestamp, abortedFrom, compacted, horizonMs, writtenMs } = this
    const entry: SealedSegment = { baseOffset, endOffset, sizeBytes, maxTimestamp }
    if (abortedFrom !== Number.POSITIVE_INFINITY) entry.abortedFrom = abortedFrom
    if (compacted) entry.compacted = compacted
    if (horizonMs !== undefined) entry.horizonMs = horizonMs
    if (writtenMs !== undefined && maxTimestamp < 0) entry.writtenMs = writtenMs
    return entry
  }

  /** Becomes what the manifest says. */
  seal({ abortedFrom = Number.POSITIVE_INFINITY, ...entry }: SealedSegment): void {
    const { endOffset, sizeBytes, maxTimestamp, horizonMs, writtenMs } = entry
    Object.assign(this, { endOffset, sizeBytes, maxTimestamp, horizonMs, writtenMs, isSealed: true })
    this.#abortedFrom = abortedFrom
  }

  /** Opens the file if need be and keeps it from being closed or deleted until `task` is done. */
  async use<T>(task: (file: OpenFile) => Promise<T>): Promise<T> {
    this.#users++
    try {
      return await task(await this.#file())
    } finally {
      this.#letGo()
      if (this.isSealed && !this.#whenUnused) this.#limit.touch(this)
    }
  }

  /** Keeps the file from being deleted until the returned function is called, once. */
  hold(): () => void {
    this.#users++
    return () => this.#letGo()
  }

  #letGo(): void {
    this.#users--
    if (this.#users === 0) this.#whenUnused?.()
  }

  /** Keeps an index that was read, until others are used more. */
  keepIndex(index: SparseIndex): void {
    this.index = index
    if (this.isSealed && !this.#whenUnused) this.#limit.touch(this)
  }

  #file(): Promise<OpenFile> {
    if (!this.#opening) {
      const opening = this.#files.open(this.path, this.isSealed ? 'read' : 'edit')
      this.#opening = opening
      opening.catch(() => {
        if (this.#opening === opening) this.#opening = undefined
      })
    }
    return this.#opening
  }

  /** The first use of a new segment. Its name is not durable yet. */
  async create(): Promise<void> {
    const opening = this.#files.open(this.path, 'create')
    await opening
    this.#opening = opening
  }

  closeIdle(): boolean {
    if (this.#users > 0) return false
    this.#close().catch(() => {})
    this.#abortedFrom = this.abortedFrom
    this.index = undefined
    return true
  }

  /** Closes the file when its last reader is done. */
  async retire(): Promise<void> {
    if (this.#users > 0) {
      await new Promise<void>((resolve) => {
        this.#whenUnused = resolve
      })
    }
    this.#limit.forget(this)
    await this.#close()
  }

  async #close(): Promise<void> {
    const opening = this.#opening
    this.#opening = undefined
    const file = await opening?.catch(() => undefined)
    await file?.close()
  }

  /** Deletes segment and index. The manifest no longer names them. */
  async remove(): Promise<void> {
    await this.retire()
    await this.#files.remove(this.path)
    await this.removeIndex()
  }

  async removeIndex(): Promise<void> {
    if (await this.#files.stat(this.indexPath)) await this.#files.remove(this.indexPath)
  }
}
