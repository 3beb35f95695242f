/**
 * Zstandard, for writing: matches are coded with the format's predefined tables, literals are stored as they are. Larger
 * than what zstd itself makes, about as large as LZ4, and readable by every zstd. RFC 8878.
 *
 *   frame  = magic, descriptor, content size, blocks of at most 128 KiB
 *   block  = literals (raw), count of sequences, modes (all predefined), bit stream, written back to front
 */
import { concatenate } from '../compression.ts'
import { findMatches } from './match-finder.ts'
import { BackwardBits, SequenceCode } from './zstd-fse.ts'

const BLOCK_BYTES = 128 * 1024
const MATCH_BYTES_MIN = 3
/** Offset codes 1 to 3 mean "the same distance again"; this writer never says that. */
const OFFSET_SHIFT = 3
const BlockType = { raw: 0, compressed: 2 } as const

interface Sequence {
  literals: number
  length: number
  distance: number
}

export function compressZstd(input: Uint8Array): Uint8Array<ArrayBuffer> {
  const parts: Uint8Array[] = [frameHeader(input.length)]
  let from = 0
  do {
    const to = Math.min(input.length, from + BLOCK_BYTES)
    const compressed = compressBlock(input, from, to)
    const isSmaller = compressed !== undefined && compressed.length < to - from
    const body = isSmaller ? compressed : input.subarray(from, to)
    const type = isSmaller ? BlockType.compressed : BlockType.raw
    parts.push(littleEndian((body.length << 3) | (type << 1) | Number(to === input.length), 3), body)
    from = to
  } while (from < input.length)
  return concatenate(parts)
}

/** Single segment, no checksum, content size in four bytes. */
const frameHeader = (contentBytes: number): Uint8Array =>
  concatenate([new Uint8Array([0x28, 0xb5, 0x2f, 0xfd, 0xa0]), littleEndian(contentBytes, 4)])

function littleEndian(value: number, count: number): Uint8Array {
  return Uint8Array.from({ length: count }, (_, index) => (value >>> (8 * index)) & 0xff)
}

function compressBlock(input: Uint8Array, from: number, to: number): Uint8Array | undefined {
  const sequences: Sequence[] = []
  const literals: Uint8Array[] = []
  let literalsFrom = from
  findMatches(input, { from, to, distanceMax: BLOCK_BYTES, tailBytes: 0 }, ({ at, distance, length }) => {
    literals.push(input.subarray(literalsFrom, at))
    sequences.push({ literals: at - literalsFrom, length, distance })
    literalsFrom = at + length
  })
  if (sequences.length === 0) return undefined
  literals.push(input.subarray(literalsFrom, to))
  const text = concatenate(literals)
  return concatenate([literalsHeader(text.length), text, sequencesHeader(sequences.length), encode(sequences)])
}

/** Raw literals; the size takes 5, 12 or 20 bits. */
function literalsHeader(size: number): Uint8Array {
  if (size < 32) return littleEndian(size << 3, 1)
  return size < 4096 ? littleEndian((size << 4) | 0x04, 2) : littleEndian((size << 4) | 0x0c, 3)
}

function sequencesHeader(count: number): Uint8Array {
  const predefined = 0
  if (count < 128) return new Uint8Array([count, predefined])
  if (count < 0x7f00) return new Uint8Array([(count >>> 8) + 128, count & 0xff, predefined])
  return new Uint8Array([255, (count - 0x7f00) & 0xff, (count - 0x7f00) >>> 8, predefined])
}

/** The reader starts at the end, so the last sequence is written first. */
function encode(sequences: readonly Sequence[]): Uint8Array {
  const bits = new BackwardBits(sequences.length * 12 + 16)
  const literalLengths = SequenceCode.literalLength()
  const matchLengths = SequenceCode.matchLength()
  const offsets = SequenceCode.offset()
  for (let index = sequences.length - 1; index >= 0; index--) {
    const { literals, length, distance } = sequences[index]!
    offsets.write(bits, distance + OFFSET_SHIFT)
    matchLengths.write(bits, length - MATCH_BYTES_MIN)
    literalLengths.write(bits, literals)
    literalLengths.writeExtra(bits)
    matchLengths.writeExtra(bits)
    offsets.writeExtra(bits)
  }
  matchLengths.flush(bits)
  offsets.flush(bits)
  literalLengths.flush(bits)
  return bits.finish()
}
