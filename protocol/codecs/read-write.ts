/** The codecs of standard.ts, with their writers: for a relay that takes records out of batches and keeps their codec. */
import { CodecRegistry } from '../compression.ts'

export function readWriteCodecs(): CodecRegistry {
  const registry = new CodecRegistry()
  registry.register(2, async () => {
    const [{ snappy }, { compressSnappy }] = await Promise.all([import('./snappy.ts'), import('./snappy-writer.ts')])
    return { ...snappy, compress: async (block) => compressSnappy(block) }
  })
  registry.register(3, async () => {
    const [{ lz4 }, { compressLz4 }] = await Promise.all([import('./lz4.ts'), import('./lz4-writer.ts')])
    return { ...lz4, compress: async (block) => compressLz4(block) }
  })
  registry.register(4, async () => {
    const [{ zstd }, { compressZstd }] = await Promise.all([import('./zstd.ts'), import('./zstd-writer.ts')])
    return { ...zstd, compress: async (block) => compressZstd(block) }
  })
  return registry
}
