/**
 * LZ4 in its frame format, for writing: blocks of 64 KiB that stand alone, as Kafka's Java client demands, no checksums
 * but that of the header. A block that does not shrink is stored.
 */
import { concatenate } from '../compression.ts'
import { findMatches } from './match-finder.ts'

/** Magic; version 1, blocks stand alone; largest block 64 KiB; the header's checksum, which never changes. */
const FRAME_HEADER = new Uint8Array([0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x82])
const FRAME_END = new Uint8Array(4)
const BLOCK_BYTES = 64 * 1024
const STORED = 0x80000000
/** A block ends with at least five literals, and its last match begins twelve bytes before the end. */
const TAIL_BYTES = 12
const COPY_BYTES_MIN = 4

export function compressLz4(input: Uint8Array): Uint8Array<ArrayBuffer> {
  const parts: Uint8Array[] = [FRAME_HEADER]
  for (let from = 0; from < input.length; from += BLOCK_BYTES) {
    const to = Math.min(input.length, from + BLOCK_BYTES)
    const block = new Block(to - from)
    block.write(input, from, to)
    const isStored = block.size >= to - from
    const bytes = isStored ? input.subarray(from, to) : block.bytes.subarray(0, block.size)
    const size = new Uint8Array(4)
    new DataView(size.buffer).setUint32(0, isStored ? bytes.length + STORED : bytes.length, true)
    parts.push(size, bytes)
  }
  return concatenate([...parts, FRAME_END])
}

class Block {
  readonly bytes: Uint8Array
  size = 0

  constructor(inputBytes: number) {
    // What no match shortens grows by one byte in 255.
    this.bytes = new Uint8Array(inputBytes + Math.ceil(inputBytes / 255) + 16)
  }

  write(input: Uint8Array, from: number, to: number): void {
    let literalsFrom = from
    const range = { from, to, distanceMax: 65_535, tailBytes: TAIL_BYTES }
    findMatches(input, range, ({ at, distance, length }) => {
      this.#sequence(input.subarray(literalsFrom, at), length - COPY_BYTES_MIN)
      this.bytes[this.size++] = distance & 0xff
      this.bytes[this.size++] = distance >>> 8
      this.#moreLength(length - COPY_BYTES_MIN)
      literalsFrom = at + length
    })
    this.#sequence(input.subarray(literalsFrom, to), 0)
  }

  #sequence(literals: Uint8Array, copyLength: number): void {
    this.bytes[this.size++] = (Math.min(literals.length, 15) << 4) | Math.min(copyLength, 15)
    this.#moreLength(literals.length)
    this.bytes.set(literals, this.size)
    this.size += literals.length
  }

  #moreLength(length: number): void {
    if (length < 15) return
    let left = length - 15
    for (; left >= 255; left -= 255) this.bytes[this.size++] = 255
    this.bytes[this.size++] = left
  }
}
