/**
 * Codecs of record batches, by the number in the batch's attributes. gzip comes with every platform (a browser's
 * CompressionStream, Node's too); the others are plugged in by whoever wants to read them, and load only when a batch
 * needs one.
 *
 * Every inflater is bounded: a block that would grow beyond `outputBytesMax` throws instead of taking the memory.
 */
import { MalformedError } from './bytes/reader.ts'
import type { CodecId } from './record-batch.ts'

export interface Codec {
  compress?(block: Uint8Array): Promise<Uint8Array>
  decompress(block: Uint8Array, outputBytesMax: number): Promise<Uint8Array>
}

export const CODEC_NAMES = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const
export type CodecName = (typeof CODEC_NAMES)[number]

/** What an inflated batch may take. Kafka's own default for a batch on the wire is 1 MiB. */
export const INFLATED_BYTES_MAX = 64 * 1024 * 1024
const INFLATED_UNASKED_BYTES = 8 * 1024 * 1024
const RATIO_MAX = 200

/**
 * What a block of this size may grow to. Records that compress 200 to 1 are rare, and batches of them are small; bombs
 * are made to grow a thousand and more to 1.
 */
export const inflatedBytesMax = (blockBytes: number): number =>
  Math.min(INFLATED_BYTES_MAX, Math.max(INFLATED_UNASKED_BYTES, blockBytes * RATIO_MAX))

export class CodecRegistry {
  #codecs = new Map<CodecId, Codec | (() => Promise<Codec>)>([[1, gzip]])

  /** `codec` may be a function that loads it; it is called when the first batch needs it. */
  register(id: Exclude<CodecId, 0>, codec: Codec | (() => Promise<Codec>)): void {
    this.#codecs.set(id, codec)
  }

  /** Throws a RangeError that names the codec when nothing is registered for it. */
  async find(id: CodecId): Promise<Codec> {
    const entry = this.#codecs.get(id)
    if (!entry) throw new RangeError(`no codec for ${CODEC_NAMES[id] ?? id} is registered`)
    if (typeof entry !== 'function') return entry
    const loaded = await entry()
    this.#codecs.set(id, loaded)
    return loaded
  }
}

/** Apart from the codec, for readers that never compress. */
export const inflateGzip: Codec['decompress'] = (block, outputBytesMax) =>
  pipeThrough(block, new DecompressionStream('gzip'), outputBytesMax)

export const gzip: Codec = {
  compress: (block) => pipeThrough(block, new CompressionStream('gzip'), Number.POSITIVE_INFINITY),
  decompress: inflateGzip,
}

async function pipeThrough(
  block: Uint8Array,
  transform: CompressionStream | DecompressionStream,
  outputBytesMax: number,
): Promise<Uint8Array> {
  const writer = transform.writable.getWriter()
  // A failure shows on the readable side; the writes' own rejections would only repeat it.
  writer.write(block as Uint8Array<ArrayBuffer>).catch(() => {})
  writer.close().catch(() => {})
  const parts: Uint8Array[] = []
  let size = 0
  const reader = transform.readable.getReader()
  for (;;) {
    const { done, value } = await reader.read()
    if (done) break
    size += value.length
    if (size > outputBytesMax) {
      await reader.cancel()
      throw new MalformedError(`a compressed block grows beyond ${outputBytesMax} bytes`)
    }
    parts.push(value)
  }
  return concatenate(parts, size)
}

export function concatenate(
  parts: readonly Uint8Array[],
  size = parts.reduce((sum, part) => sum + part.length, 0),
): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(size)
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}
