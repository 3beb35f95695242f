/** Every codec that Kafka's clients write, each loaded when the first batch needs it. */
import { CodecRegistry } from '../compression.ts'

export function standardCodecs(): CodecRegistry {
  const registry = new CodecRegistry()
  registry.register(2, async () => (await import('./snappy.ts')).snappy)
  registry.register(3, async () => (await import('./lz4.ts')).lz4)
  registry.register(4, async () => (await import('./zstd.ts')).zstd)
  return registry
}
