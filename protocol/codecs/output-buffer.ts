/**
 * Where an inflater puts what it makes. Grows by doubling as bytes are really produced, never by what the input declares,
 * and throws when `bytesMax` would be passed.
 *
 * What was written stays readable behind the end, because copies reach back into it (LZ77).
 */
import { MalformedError } from '../bytes/reader.ts'

const FIRST_BYTES = 4096

export class OutputBuffer {
  #bytes: Uint8Array<ArrayBuffer>
  #size = 0
  readonly #bytesMax: number

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
    this.#bytes = new Uint8Array(Math.min(FIRST_BYTES, bytesMax))
  }

  get size(): number {
    return this.#size
  }

  append(piece: Uint8Array): void {
    this.#reserve(piece.length)
    this.#bytes.set(piece, this.#size)
    this.#size += piece.length
  }

  /** Appends `length` bytes that begin `distance` bytes before the end. A copy may reach into what it writes itself. */
  copyBack(distance: number, length: number): void {
    const from = this.#size - distance
    if (distance <= 0 || from < 0)
      throw new MalformedError(`a copy of ${length} bytes from ${distance} before output byte ${this.#size}`)
    this.#reserve(length)
    const bytes = this.#bytes
    if (distance >= length) bytes.copyWithin(this.#size, from, from + length)
    else for (let index = 0; index < length; index++) bytes[this.#size + index] = bytes[from + index]!
    this.#size += length
  }

  take(): Uint8Array<ArrayBuffer> {
    return this.#bytes.subarray(0, this.#size)
  }

  #reserve(length: number): void {
    const needed = this.#size + length
    if (needed <= this.#bytes.length) return
    if (needed > this.#bytesMax) throw new MalformedError(`a compressed block grows beyond ${this.#bytesMax} bytes`)
    const larger = new Uint8Array(Math.min(Math.max(needed, this.#bytes.length * 2), this.#bytesMax))
    larger.set(this.#bytes.subarray(0, this.#size))
    this.#bytes = larger
  }
}
