/**
 * Cuts a byte stream into Kafka's frames: an INT32 size, then that many bytes.
 *
 * The size is compared with the limit as soon as its four bytes are there, and nothing is allocated for it: chunks are
 * kept as they came until the frame is whole, and then joined once. A frame inside one chunk is a view of it.
 */
import { MalformedError } from './bytes/reader.ts'
import { concatenate } from './compression.ts'

export const FRAME_SIZE_BYTES = 4

export class FrameCutter {
  /** May change between two frames. */
  sizeBytesMax: number
  #chunks: Uint8Array[] = []
  #heldBytes = 0

  constructor(sizeBytesMax: number) {
    this.sizeBytesMax = sizeBytesMax
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
      const whole = this.#joined()
      const end = FRAME_SIZE_BYTES + size
      this.#chunks = end < whole.length ? [whole.subarray(end)] : []
      this.#heldBytes = whole.length - end
      yield whole.subarray(FRAME_SIZE_BYTES, end)
    }
  }

  #size(): number | undefined {
    if (this.#heldBytes < FRAME_SIZE_BYTES) return undefined
    const start = this.#chunks[0]!.length >= FRAME_SIZE_BYTES ? this.#chunks[0]! : this.#joined()
    const size = (start[0]! << 24) | (start[1]! << 16) | (start[2]! << 8) | start[3]!
    if (size < 0 || size > this.sizeBytesMax)
      throw new FrameSizeError(size, this.sizeBytesMax, start.slice(0, FRAME_SIZE_BYTES))
    return size
  }

  #joined(): Uint8Array {
    if (this.#chunks.length > 1) this.#chunks = [concatenate(this.#chunks, this.#heldBytes)]
    return this.#chunks[0]!
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
