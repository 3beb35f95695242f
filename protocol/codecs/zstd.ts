/**
 * Zstandard, for reading: fzstd inflates, this file sees to it that a frame cannot ask for more than it is worth.
 *
 * fzstd takes as much memory as a frame's header declares, and moves its whole window after each block. So before it sees a
 * frame, the headers of the frame's blocks are read; they bound what can come out, and the frame gets a header of ours that
 * declares no more than that. Checksums are not looked at: the batch around has one over the same bytes. RFC 8878.
 */
import { Decompress } from 'fzstd'
import { MalformedError } from '../bytes/reader.ts'
import type { Codec } from '../compression.ts'
import { OutputBuffer } from './output-buffer.ts'

const FRAME_MAGIC = 0xfd2fb528
const SKIPPABLE_MAGIC = 0x184d2a50
const BLOCK_BYTES_MAX = 128 * 1024
const BlockType = { raw: 0, runLength: 1, compressed: 2 } as const
/** What moving windows may cost; 64 MiB in blocks of 128 KiB behind a window of 8 MiB is half of it. */
const MOVED_BYTES_MAX = 8 * 1024 ** 3

export const zstd: Codec = {
  async decompress(block, outputBytesMax) {
    const output = new OutputBuffer(outputBytesMax)
    for (let at = 0; at < block.length; ) at = readFrame(block, at, output)
    return output.take()
  },
}

/** Where the next frame begins. */
function readFrame(input: Uint8Array, at: number, output: OutputBuffer): number {
  const magic = littleEndian(input, at, 4)
  if (magic >= SKIPPABLE_MAGIC && magic < SKIPPABLE_MAGIC + 16) return at + 8 + littleEndian(input, at + 4, 4)
  if (magic !== FRAME_MAGIC) throw new MalformedError(`zstd: no frame begins with ${magic.toString(16)}`)
  const header = readHeader(input, at)
  const { end, count, bytesMax } = walkBlocks(input, header.end, header.windowBytes)
  const windowBytes = Math.min(header.windowBytes, Math.max(bytesMax, 1024))
  if (windowBytes * count > MOVED_BYTES_MAX) {
    throw new MalformedError(`zstd: ${count} blocks behind a window of ${windowBytes} bytes`)
  }
  inflate(frameOf(windowBytes, input.subarray(header.end, end)), output)
  return end + (header.hasChecksum ? 4 : 0)
}

function readHeader(input: Uint8Array, at: number) {
  const flags = littleEndian(input, at + 4, 1)
  if (flags & 0x08) throw new MalformedError('zstd: a reserved bit is set')
  const isSingleSegment = (flags & 0x20) !== 0
  const dictionaryIdBytes = [0, 1, 2, 4][flags & 3]!
  const sizeBytes = flags >>> 6 ? 1 << (flags >>> 6) : Number(isSingleSegment)
  const dictionaryAt = at + 5 + Number(!isSingleSegment)
  if (littleEndian(input, dictionaryAt, dictionaryIdBytes) !== 0)
    throw new MalformedError('zstd: frames with a dictionary are not supported')
  const sizeAt = dictionaryAt + dictionaryIdBytes
  const contentBytes = littleEndian(input, sizeAt, sizeBytes) + (sizeBytes === 2 ? 256 : 0)
  const windowBytes = isSingleSegment ? contentBytes : windowOf(littleEndian(input, at + 5, 1))
  return { windowBytes, hasChecksum: (flags & 0x04) !== 0, end: sizeAt + sizeBytes }
}

function windowOf(descriptor: number): number {
  const base = 2 ** (10 + (descriptor >>> 3))
  return base + (base / 8) * (descriptor & 7)
}

function walkBlocks(input: Uint8Array, start: number, windowBytes: number) {
  const blockBytesMax = Math.min(BLOCK_BYTES_MAX, windowBytes)
  let [end, count, bytesMax] = [start, 0, 0]
  for (let isLast = false; !isLast; count++) {
    const header = littleEndian(input, end, 3)
    isLast = (header & 1) === 1
    const type = (header >>> 1) & 3
    const size = header >>> 3
    bytesMax += type === BlockType.compressed ? blockBytesMax : Math.min(size, BLOCK_BYTES_MAX)
    end += 3 + (type === BlockType.runLength ? 1 : size)
    if (end > input.length) throw new MalformedError(`zstd: a block ends at ${end}, the input at ${input.length}`)
  }
  return { end, count, bytesMax }
}

/** A frame without declared size and checksum, whose window holds at least `windowBytes`. */
function frameOf(windowBytes: number, blocks: Uint8Array): Uint8Array {
  const frame = new Uint8Array(6 + blocks.length)
  const exponent = Math.max(0, Math.ceil(Math.log2(windowBytes)) - 10)
  frame.set([0x28, 0xb5, 0x2f, 0xfd, 0, exponent << 3])
  frame.set(blocks, 6)
  return frame
}

function inflate(frame: Uint8Array, output: OutputBuffer): void {
  try {
    new Decompress((piece) => output.append(piece)).push(frame, true)
  } catch (error) {
    if (error instanceof MalformedError) throw error
    throw new MalformedError(`zstd: ${error instanceof Error ? error.message : error}`)
  }
}

function littleEndian(input: Uint8Array, at: number, bytes: number): number {
  if (at + bytes > input.length) throw new MalformedError(`zstd: the input ends within a header at ${input.length}`)
  let value = 0
  for (let index = bytes - 1; index >= 0; index--) value = value * 256 + input[at + index]!
  return value
}
