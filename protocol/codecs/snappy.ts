/**
 * Snappy, for reading. Two layouts occur in Kafka: a bare block (librdkafka, franz-go), and a chain of blocks behind the
 * header of Java's xerial library (Java clients, sarama, Python clients).
 *
 * A block is a varint with the length of what comes out, then literals and copies:
 * https://github.com/google/snappy/blob/main/format_description.txt
 */
import { MalformedError } from '../bytes/reader.ts'
import type { Codec } from '../compression.ts'
import { OutputBuffer } from './output-buffer.ts'

const XERIAL_MAGIC = [0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00]
/** Magic, version INT32, oldest compatible version INT32. */
const XERIAL_HEADER_BYTES = 16

export const snappy: Codec = {
  async decompress(block, outputBytesMax) {
    const output = new OutputBuffer(outputBytesMax)
    if (isXerial(block)) readChain(block, output)
    else readBlock(block, output)
    return output.take()
  },
}

function isXerial(block: Uint8Array): boolean {
  return block.length >= XERIAL_HEADER_BYTES && XERIAL_MAGIC.every((byte, index) => block[index] === byte)
}

function readChain(chain: Uint8Array, output: OutputBuffer): void {
  const view = new DataView(chain.buffer, chain.byteOffset, chain.byteLength)
  for (let at = XERIAL_HEADER_BYTES; at < chain.length; ) {
    if (at + 4 > chain.length) throw new MalformedError('a chain of snappy blocks ends within a length')
    const end = at + 4 + view.getUint32(at)
    if (end > chain.length) throw new MalformedError(`a snappy block ends at ${end}, its chain at ${chain.length}`)
    readBlock(chain.subarray(at + 4, end), output)
    at = end
  }
}

function readBlock(block: Uint8Array, output: OutputBuffer): void {
  const start = output.size
  const { value: length, next } = readVarint(block)
  let at = next
  while (at < block.length) {
    const tag = block[at++]!
    if ((tag & 3) === 0) at = readLiteral(block, at, tag >>> 2, output)
    else at = readCopy(block, at, tag, output, start)
    if (output.size - start > length) break
  }
  if (output.size - start !== length) {
    throw new MalformedError(`a snappy block declares ${length} bytes and holds ${output.size - start}`)
  }
}

function readVarint(block: Uint8Array): { value: number; next: number } {
  let value = 0
  for (let index = 0; index < 5; index++) {
    const byte = block[index]
    if (byte === undefined) break
    value += (byte & 0x7f) * 2 ** (7 * index)
    if (byte < 0x80) return { value, next: index + 1 }
  }
  throw new MalformedError('a snappy block has no length')
}

/** `code` 0-59 is the length less one; 60-63 say that it follows in 1 to 4 bytes. */
function readLiteral(block: Uint8Array, at: number, code: number, output: OutputBuffer): number {
  const lengthBytes = Math.max(0, code - 59)
  const length = (lengthBytes === 0 ? code : littleEndian(block, at, lengthBytes)) + 1
  const from = at + lengthBytes
  if (from + length > block.length)
    throw new MalformedError(`a snappy literal of ${length} bytes ends beyond its block of ${block.length}`)
  output.append(block.subarray(from, from + length))
  return from + length
}

function readCopy(block: Uint8Array, at: number, tag: number, output: OutputBuffer, start: number): number {
  const kind = tag & 3
  const distanceBytes = kind === 3 ? 4 : kind
  const low = littleEndian(block, at, distanceBytes)
  const distance = kind === 1 ? ((tag >>> 5) << 8) | low : low
  const length = kind === 1 ? ((tag >>> 2) & 7) + 4 : (tag >>> 2) + 1
  // Blocks of a chain stand alone.
  if (distance > output.size - start)
    throw new MalformedError(`a snappy copy from ${distance} bytes back, before its block`)
  output.copyBack(distance, length)
  return at + distanceBytes
}

function littleEndian(block: Uint8Array, at: number, bytes: number): number {
  if (at + bytes > block.length) throw new MalformedError('a snappy block ends within an element')
  let value = 0
  for (let index = bytes - 1; index >= 0; index--) value = value * 256 + block[at + index]!
  return value
}
