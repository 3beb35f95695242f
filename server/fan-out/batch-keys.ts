/**
 * Which keys the batches of a slice of the log hold. The one place of the fan-out that looks into batches, and only where
 * somebody has asked for some keys; what it finds is good for everybody who comes by that slice.
 *
 * Bounds: a batch that would inflate beyond INFLATED_BYTES_MAX, has very many keys or makes no sense is not looked into: its
 * keys are null, and it goes to everybody. A slice ends early when its keys become many. Between batches `breathe` is asked.
 */
import { MalformedError } from '../../protocol/bytes/reader.ts'
import { type CodecRegistry, inflatedBytesMax } from '../../protocol/compression.ts'
import { BATCH_HEADER_BYTES, type BatchHeader, batchesIn, codecOf, isControl } from '../../protocol/record-batch.ts'
import { RecordCursor } from '../log/compaction/record-cursor.ts'
import { textOf } from './key-filter.ts'

const INFLATED_BYTES_MAX = 8 * 1024 * 1024
const KEYS_PER_BATCH_MAX = 20_000
const KEYS_PER_SLICE_MAX = 40_000
/** About what an entry of a set takes beside its bytes. */
const ENTRY_BYTES = 64

export interface KeyedBatch {
  header: BatchHeader
  bytes: Uint8Array
  /** null: it cannot be told, so everybody gets it. */
  keys: ReadonlySet<string> | null
}

export interface KeyedSlice {
  batches: readonly KeyedBatch[]
  nextOffset: number
  /** About what it holds in memory. */
  sizeBytes: number
}

const NO_KEYS: ReadonlySet<string> = new Set()

export async function keysInSlice(
  slice: { bytes: Uint8Array; nextOffset: number },
  codecs: CodecRegistry,
  breathe: () => Promise<void> | undefined,
): Promise<KeyedSlice> {
  const batches: KeyedBatch[] = []
  let sizeBytes = slice.bytes.length
  let keyCount = 0
  for (const { at, end, header } of batchesIn(slice.bytes)) {
    if (keyCount > KEYS_PER_SLICE_MAX) return { batches, nextOffset: header.baseOffset, sizeBytes }
    const bytes = slice.bytes.subarray(at, end)
    const keys = await keysOf(header, bytes, codecs)
    batches.push({ header, bytes, keys })
    for (const key of keys ?? NO_KEYS) sizeBytes += ENTRY_BYTES + key.length
    keyCount += keys?.size ?? 0
    await breathe()
  }
  return { batches, nextOffset: slice.nextOffset, sizeBytes }
}

async function keysOf(header: BatchHeader, batch: Uint8Array, codecs: CodecRegistry): Promise<KeyedBatch['keys']> {
  if (isControl(header) || header.recordCount === 0) return NO_KEYS
  const stored = batch.subarray(BATCH_HEADER_BYTES)
  try {
    return keysIn(header, codecOf(header) === 0 ? stored : await inflated(header, stored, codecs))
  } catch (error) {
    // What a codec throws for bytes that are not its own is no kind of error of ours.
    if (codecOf(header) === 0 && !(error instanceof MalformedError)) throw error
    return null
  }
}

async function inflated(header: BatchHeader, stored: Uint8Array, codecs: CodecRegistry): Promise<Uint8Array> {
  const codec = await codecs.find(codecOf(header))
  return codec.decompress(stored, Math.min(INFLATED_BYTES_MAX, inflatedBytesMax(stored.length)))
}

function keysIn(header: BatchHeader, block: Uint8Array): ReadonlySet<string> | null {
  const keys = new Set<string>()
  const cursor = new RecordCursor(header, block)
  for (let record = cursor.next(); record; record = cursor.next()) {
    if (record.key) keys.add(textOf(record.key))
    if (keys.size > KEYS_PER_BATCH_MAX) return null
  }
  return keys
}
