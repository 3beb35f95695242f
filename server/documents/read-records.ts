/** The records of a log that readers of committed records see, slice by slice. */
import { MalformedError } from '../../protocol/bytes/reader.ts'
import { readWriteCodecs } from '../../protocol/codecs/read-write.ts'
import { inflatedBytesMax } from '../../protocol/compression.ts'
import {
  BATCH_HEADER_BYTES,
  type BatchHeader,
  batchesIn,
  codecOf,
  isControl,
  lastOffsetOf,
} from '../../protocol/record-batch.ts'
import { decodeRecords, type RawRecord } from '../../protocol/records.ts'
import type { PartitionLog } from '../log/partition-log.ts'

const codecs = readWriteCodecs()
/** Decoded in one go. Clients' batches hold thousands at most; one that inflates may hold millions. */
const BATCH_RECORDS_MAX = 200_000

export interface RecordSlice {
  records: RawRecord[]
  nextOffset: number
  /** Batches that nobody can look into, by their base offsets: what their producer sent makes no sense, or is too much. */
  unreadable: number[]
}

/** At least the batch that holds `offset`. Throws KafkaError where the log cannot be read. */
export async function readRecords(log: PartitionLog, offset: number, bytesMax: number): Promise<RecordSlice> {
  const { bytes, nextOffset, aborted } = await log.readCommitted(offset, bytesMax)
  const slice: RecordSlice = { records: [], nextOffset, unreadable: [] }
  for (const { at, end, header } of batchesIn(bytes)) {
    if (isControl(header) || lastOffsetOf(header) < offset) continue
    const isAborted = aborted.some(
      ({ producerId, firstOffset, lastOffset }) =>
        producerId === header.producerId && firstOffset <= header.baseOffset && header.baseOffset <= lastOffset,
    )
    if (isAborted) continue
    const records = await recordsOf(header, bytes.subarray(at + BATCH_HEADER_BYTES, end))
    if (!records) slice.unreadable.push(header.baseOffset)
    for (const record of records ?? []) if (record.offset >= offset) slice.records.push(record)
  }
  return slice
}

async function recordsOf(header: BatchHeader, block: Uint8Array): Promise<RawRecord[] | undefined> {
  const id = codecOf(header)
  try {
    if (header.recordCount > BATCH_RECORDS_MAX) return undefined
    if (id === 0) return [...decodeRecords(header, block)]
    const codec = await codecs.find(id)
    return [...decodeRecords(header, await codec.decompress(block, inflatedBytesMax(block.length)))]
  } catch (error) {
    // What a codec throws for bytes that are not its own is no kind of error of ours.
    if (id === 0 && !(error instanceof MalformedError)) throw error
    return undefined
  }
}
