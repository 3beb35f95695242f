/** Snappy, for writing: a chain of blocks of 32 KiB behind the header of Java's xerial library, as Kafka's own client writes. */
import { concatenate } from '../compression.ts'
import { findMatches } from './match-finder.ts'

/** Magic, version 1, oldest compatible version 1. */
const CHAIN_HEADER = new Uint8Array([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0, 0, 0, 0, 1, 0, 0, 0, 1])
const BLOCK_BYTES = 32 * 1024
const COPY_BYTES_MAX = 64

export function compressSnappy(input: Uint8Array): Uint8Array<ArrayBuffer> {
  const parts: Uint8Array[] = [CHAIN_HEADER]
  for (let from = 0; from < input.length; from += BLOCK_BYTES) {
    const block = writeBlock(input, from, Math.min(input.length, from + BLOCK_BYTES))
    const size = new Uint8Array(4)
    new DataView(size.buffer).setUint32(0, block.length)
    parts.push(size, block)
  }
  return concatenate(parts)
}

function writeBlock(input: Uint8Array, from: number, to: number): Uint8Array {
  const inputBytes = to - from
  const bytes = new Uint8Array(32 + inputBytes + Math.ceil(inputBytes / 6))
  let size = 0
  for (let left = inputBytes; ; left >>>= 7) {
    bytes[size++] = left > 0x7f ? (left & 0x7f) | 0x80 : left
    if (left <= 0x7f) break
  }
  const literal = (start: number, end: number) => {
    if (start === end) return
    const code = end - start - 1
    if (code < 60) bytes[size++] = code << 2
    else if (code < 256) {
      bytes[size++] = 60 << 2
      bytes[size++] = code
    } else {
      bytes[size++] = 61 << 2
      bytes[size++] = code & 0xff
      bytes[size++] = code >>> 8
    }
    bytes.set(input.subarray(start, end), size)
    size += end - start
  }
  let literalsFrom = from
  findMatches(input, { from, to, distanceMax: 65_535, tailBytes: 0 }, ({ at, distance, length }) => {
    literal(literalsFrom, at)
    for (let left = length; left > 0; ) {
      const part = Math.min(left, COPY_BYTES_MAX)
      bytes[size++] = ((part - 1) << 2) | 2
      bytes[size++] = distance & 0xff
      bytes[size++] = distance >>> 8
      left -= part
    }
    literalsFrom = at + length
  })
  literal(literalsFrom, to)
  return bytes.subarray(0, size)
}
