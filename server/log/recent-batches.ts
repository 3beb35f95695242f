/**
 * The newest batches of a log, in memory as they were written, so that whoever reads at the tail needs no disk and no copy.
 *
 * Bounded per log and, through the budget, over all logs: the log that was written to longest ago gives way first. Small
 * batches, and such as are a sliver of a larger buffer, are copied into slabs: a view of 200 bytes would otherwise keep
 * the whole buffer that a socket filled.
 */
const SLAB_BYTES = 256 * 1024
/** A log that hears little keeps little; it holds any batch that goes into a slab. */
const FIRST_SLAB_BYTES = 64 * 1024
const COPY_BELOW_BYTES = 4096

export class RecentBudget {
  readonly #limitBytes: number
  #usedBytes = 0
  readonly #users = new Set<RecentBatches>()

  /** Default 64 MiB over all logs. */
  constructor(limitBytes = 64 * 1024 * 1024) {
    this.#limitBytes = limitBytes
  }

  get usedBytes(): number {
    return this.#usedBytes
  }

  /** `user` grew (or shrank) by `bytes`. */
  note(user: RecentBatches, bytes: number): void {
    this.#usedBytes += bytes
    if (bytes < 0) return
    this.#users.delete(user)
    this.#users.add(user)
    if (this.#usedBytes <= this.#limitBytes) return
    for (const oldest of this.#users) {
      oldest.shrinkBy(this.#usedBytes - this.#limitBytes)
      if (this.#usedBytes <= this.#limitBytes) return
    }
  }

  forget(user: RecentBatches): void {
    this.#users.delete(user)
  }
}

export interface RecentSlice {
  /** Whole batches; pieces that lie side by side in memory come as one. Not to be changed. */
  pieces: Uint8Array[]
  sizeBytes: number
  /** Of the first batch; may be below the offset that was asked for. */
  baseOffset: number
  nextOffset: number
}

interface Entry {
  baseOffset: number
  nextOffset: number
  bytes: Uint8Array
}

export class RecentBatches {
  readonly #budget: RecentBudget
  readonly #limitBytes: number
  #entries: Entry[] = []
  #head = 0
  #sizeBytes = 0
  #slab = new Uint8Array(0)
  #slabUsed = 0

  /** Default 2 MiB per log. */
  constructor(budget: RecentBudget, limitBytes = 2 * 1024 * 1024) {
    this.#budget = budget
    this.#limitBytes = limitBytes
  }

  /** The bytes to keep for a batch: itself, or a copy of it in a slab. */
  own(batch: Uint8Array): Uint8Array {
    if (batch.length >= COPY_BELOW_BYTES && batch.buffer.byteLength <= batch.length * 2) return batch
    if (batch.length > SLAB_BYTES / 4) return new Uint8Array(batch)
    if (this.#slabUsed + batch.length > this.#slab.length) {
      this.#slab = new Uint8Array(Math.min(SLAB_BYTES, Math.max(FIRST_SLAB_BYTES, this.#slab.length * 4)))
      this.#slabUsed = 0
    }
    const copy = this.#slab.subarray(this.#slabUsed, this.#slabUsed + batch.length)
    copy.set(batch)
    this.#slabUsed += batch.length
    return copy
  }

  add(baseOffset: number, nextOffset: number, bytes: Uint8Array): void {
    this.#entries.push({ baseOffset, nextOffset, bytes })
    this.#sizeBytes += bytes.length
    this.#budget.note(this, bytes.length)
    if (this.#sizeBytes > this.#limitBytes) this.shrinkBy(this.#sizeBytes - this.#limitBytes)
  }

  /** Lets go of at least `bytes` of the oldest, or of everything. */
  shrinkBy(bytes: number): void {
    let freed = 0
    while (freed < bytes && this.#head < this.#entries.length) {
      freed += this.#entries[this.#head]!.bytes.length
      // The slot is emptied at once: the array itself is compacted only now and then.
      this.#entries[this.#head++] = undefined as unknown as Entry
    }
    this.#sizeBytes -= freed
    this.#budget.note(this, -freed)
    if (this.#head > 1024 && this.#head * 2 > this.#entries.length) {
      this.#entries = this.#entries.slice(this.#head)
      this.#head = 0
    }
  }

  /** Lets go of batches that the log no longer holds as they were. */
  forgetBelow(offset: number): void {
    let bytes = 0
    for (let index = this.#head; index < this.#entries.length; index++) {
      const entry = this.#entries[index]!
      if (entry.baseOffset >= offset) break
      bytes += entry.bytes.length
    }
    if (bytes > 0) this.shrinkBy(bytes)
  }

  clear(): void {
    this.shrinkBy(this.#sizeBytes)
    this.#entries = []
    this.#head = 0
    this.#budget.forget(this)
  }

  /** Batches from the one that holds `offset` on, below `upTo`, at least one and else no more than `maxBytes`. */
  slice(offset: number, upTo: number, maxBytes: number): RecentSlice | undefined {
    let index = this.#find(offset)
    const first = this.#entries[index]
    if (index < this.#head || !first || first.nextOffset > upTo) return undefined
    const slice: RecentSlice = { pieces: [], sizeBytes: 0, baseOffset: first.baseOffset, nextOffset: offset }
    for (let entry: Entry | undefined = first; entry && entry.nextOffset <= upTo; entry = this.#entries[++index]) {
      if (slice.sizeBytes > 0 && slice.sizeBytes + entry.bytes.length > maxBytes) break
      joinPiece(slice.pieces, entry.bytes)
      slice.sizeBytes += entry.bytes.length
      slice.nextOffset = entry.nextOffset
    }
    return slice
  }

  /** Index of the entry that holds `offset`, or -1. */
  #find(offset: number): number {
    let low = this.#head
    let high = this.#entries.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#entries[middle]!.nextOffset <= offset) low = middle + 1
      else high = middle
    }
    const entry = this.#entries[low]
    return entry && entry.baseOffset <= offset ? low : -1
  }
}

/** Adds a piece, widening the last one when the two lie side by side in the same buffer. */
export function joinPiece(pieces: Uint8Array[], piece: Uint8Array): void {
  const last = pieces.at(-1)
  if (last && last.buffer === piece.buffer && last.byteOffset + last.length === piece.byteOffset) {
    pieces[pieces.length - 1] = new Uint8Array(last.buffer, last.byteOffset, last.length + piece.length)
  } else {
    pieces.push(piece)
  }
}
