/** The records of a batch as one inflated block, within a cap. */
import { MalformedError } from '../../../protocol/bytes/reader.ts'
import { type CodecRegistry, inflatedBytesMax } from '../../../protocol/compression.ts'
import { BATCH_HEADER_BYTES, type BatchHeader, codecOf } from '../../../protocol/record-batch.ts'

/** The batch is what its producer sent, but nobody can look into it. It stays as it is. */
export class OpaqueBatch extends Error {
  override readonly name = 'OpaqueBatch'
}

export async function blockOf(header: BatchHeader, batch: Uint8Array, codecs: CodecRegistry): Promise<Uint8Array> {
  const stored = batch.subarray(BATCH_HEADER_BYTES)
  const codecId = codecOf(header)
  if (codecId === 0) return stored
  try {
    const codec = await codecs.find(codecId)
    if (!codec.compress) throw new RangeError(`codec ${codecId} can be read, not written`)
    return await codec.decompress(stored, inflatedBytesMax(stored.length))
  } catch (cause) {
    throw new OpaqueBatch(cause instanceof Error ? cause.message : String(cause), { cause })
  }
}

/** What `work` throws when the records do not add up becomes an OpaqueBatch. */
export async function readable<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (cause) {
    if (cause instanceof MalformedError) throw new OpaqueBatch(cause.message, { cause })
    throw cause
  }
}
