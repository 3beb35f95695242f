/**
 * LZ4 in its frame format, for reading: frames one after another, blocks that may reach back into those before them.
 *
 * The checksums of the format are not looked at, because the batch around it has one over the very same bytes; that also
 * reads what old clients wrote with a wrong header checksum (KAFKA-3160).
 * https://github.com/lz4/lz4/blob/dev/doc/lz4_Frame_format.md and lz4_Block_format.md
 */
import { MalformedError } from '../bytes/reader.ts'
import type { Codec } from '../compression.ts'
import { OutputBuffer } from './output-buffer.ts'

const FRAME_MAGIC = 0x184d2204
const SKIPPABLE_MAGIC = 0x184d2a50
const LENGTH_MORE = 15
const COPY_BYTES_MIN = 4

export const lz4: Codec = {
  async decompress(block, outputBytesMax) {
    const output = new OutputBuffer(outputBytesMax)
    const input = new Input(block)
    while (input.left > 0) readFrame(input, output)
    return output.take()
  },
}

class Input {
  readonly bytes: Uint8Array
  at = 0

  constructor(bytes: Uint8Array) {
    this.bytes = bytes
  }

  get left(): number {
    return this.bytes.length - this.at
  }

  byte(): number {
    return this.take(1)[0]!
  }

  uint16(): number {
    return this.byte() | (this.byte() << 8)
  }

  uint32(): number {
    return (this.uint16() | (this.uint16() << 16)) >>> 0
  }

  take(count: number): Uint8Array {
    if (count > this.left) throw new MalformedError(`lz4: ${count} bytes wanted at ${this.at}, ${this.left} are left`)
    const taken = this.bytes.subarray(this.at, this.at + count)
    this.at += count
    return taken
  }
}

function readFrame(input: Input, output: OutputBuffer): void {
  const magic = input.uint32()
  if ((magic & 0xfffffff0) >>> 0 === SKIPPABLE_MAGIC) return void input.take(input.uint32())
  if (magic !== FRAME_MAGIC) throw new MalformedError(`lz4: no frame begins with ${magic.toString(16)}`)
  const flags = input.byte()
  if (flags >>> 6 !== 1) throw new MalformedError(`lz4: frame version ${flags >>> 6} is not known`)
  const [standAlone, blockChecksum, hasSize, contentChecksum, hasDictionary] = [0x20, 0x10, 0x08, 0x04, 0x01].map(
    (bit) => (flags & bit) !== 0,
  )
  if (hasDictionary) throw new MalformedError('lz4: frames with a dictionary are not supported')
  // Largest size of a block, size of the content, checksum of the header.
  input.take(1 + (hasSize ? 8 : 0) + 1)
  const frameStart = output.size
  for (let size = input.uint32(); size !== 0; size = input.uint32()) {
    const isStored = size >= 0x80000000
    const block = input.take(size & 0x7fffffff)
    if (isStored) output.append(block)
    else readBlock(new Input(block), output, standAlone ? output.size : frameStart)
    if (blockChecksum) input.take(4)
  }
  if (contentChecksum) input.take(4)
}

/** Sequences of literals and a copy; the last has no copy. `reach`: how far back into the output a copy may go. */
function readBlock(input: Input, output: OutputBuffer, reach: number): void {
  while (input.left > 0) {
    const token = input.byte()
    output.append(input.take(readLength(input, token >>> 4)))
    if (input.left === 0) return
    const distance = input.uint16()
    const length = readLength(input, token & 15) + COPY_BYTES_MIN
    if (distance > output.size - reach) throw new MalformedError(`lz4: a copy from ${distance} bytes back`)
    output.copyBack(distance, length)
  }
}

function readLength(input: Input, nibble: number): number {
  let length = nibble
  if (nibble !== LENGTH_MORE) return length
  for (;;) {
    const more = input.byte()
    length += more
    if (more !== 255) return length
  }
}
