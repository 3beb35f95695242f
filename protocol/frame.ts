/**
 * Cuts a byte stream into Kafka's frames: an INT32 size, then that many bytes.
 *
 * The size is compared with the limit as soon as its four bytes are there, and nothing is allocated for it: chunks are
 * kept as they came until the frame is whole, and then joined once. A frame inside one chunk is a view of it.
 */
import { MalformedError } from './bytes/reader.ts'

export const FRAME_SIZE_BYTES = 4

export type Allocate = (sizeBytes: number) => Uint8Array

export class FrameCutter {
  /** May change between two frames. */
  sizeBytesMax: number
  readonly #allocate: Allocate
  #chunks: Uint8Array[] = []
  #heldBytes = 0

  /** `allocate`: for frames that came in several chunks; all of it is written to. */
  constructor(sizeBytesMax: number, allocate: Allocate = (sizeBytes) => new Uint8Array(sizeBytes)) {
    this.sizeBytesMax = sizeBytesMax
    this.#allocate = allocate
  }

  get heldBytes(): number {
    return this.#heldBytes
  }

  /** The frames that `chunk` completes, without their sizes. Throws MalformedError for a size that is out of bounds. */
  *push(chunk: Uint8Array): Generator<Uint8Array> {
    this.#chunks.push(chunk)
    this.#heldBytes += chunk.length
    for (;;) {
      const size = this.#size()
      if (size === undefined || this.#heldBytes < FRAME_SIZE_BYTES + size) return
      yield this.#take(FRAME_SIZE_BYTES + size).subarray(FRAME_SIZE_BYTES)
    }
  }

  #size(): number | undefined {
    if (this.#heldBytes < FRAME_SIZE_BYTES) return undefined
    if (this.#chunks[0]!.length < FRAME_SIZE_BYTES) this.#giveBack(this.#take(this.#heldBytes))
    const start = this.#chunks[0]!
    const size = (start[0]! << 24) | (start[1]! << 16) | (start[2]! << 8) | start[3]!
    if (size < 0 || size > this.sizeBytesMax)
      throw new FrameSizeError(size, this.sizeBytesMax, start.slice(0, FRAME_SIZE_BYTES))
    return size
  }

  /** The next bytes, which are there: of one chunk as a view, else joined. */
  #take(sizeBytes: number): Uint8Array {
    const first = this.#chunks[0]!
    const whole = first.length >= sizeBytes ? first.subarray(0, sizeBytes) : this.#join(sizeBytes)
    this.#heldBytes -= sizeBytes
    let left = sizeBytes
    let used = 0
    while (left > 0 && this.#chunks[used]!.length <= left) left -= this.#chunks[used++]!.length
    this.#chunks.splice(0, used)
    if (left > 0) this.#chunks[0] = this.#chunks[0]!.subarray(left)
    return whole
  }

  #join(sizeBytes: number): Uint8Array {
    const whole = this.#allocate(sizeBytes)
    let at = 0
    for (const chunk of this.#chunks) {
      const isLast = at + chunk.length > sizeBytes
      whole.set(isLast ? chunk.subarray(0, sizeBytes - at) : chunk, at)
      if (isLast) break
      at += chunk.length
    }
    return whole
  }

  #giveBack(bytes: Uint8Array): void {
    this.#chunks.unshift(bytes)
    this.#heldBytes += bytes.length
  }
}

export class FrameSizeError extends MalformedError {
  /** The four bytes that were taken for a size: they may be the beginning of another protocol. */
  readonly start: Uint8Array

  constructor(size: number, sizeBytesMax: number, start: Uint8Array) {
    super(`a request of ${size} bytes; at most ${sizeBytesMax} are allowed`)
    this.start = start
  }
}
