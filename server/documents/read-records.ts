/** The records of a log that readers of committed records see, slice by slice. */
import { readWriteCodecs } from '../../protocol/codecs/read-write.ts'
import { inflatedBytesMax } from '../../protocol/compression.ts'
import { BATCH_HEADER_BYTES, batchesIn, codecOf, isControl, lastOffsetOf } from '../../protocol/record-batch.ts'
import { decodeRecords, type RawRecord } from '../../protocol/records.ts'
import type { PartitionLog } from '../log/partition-log.ts'

const codecs = readWriteCodecs()
const INFLATED_BYTES_MAX = 64 * 1024 * 1024

export interface RecordSlice {
  records: RawRecord[]
  nextOffset: number
}

/** At least the batch that holds `offset`. Throws KafkaError where the log cannot be read, MalformedError for bad records. */
export async function readRecords(log: PartitionLog, offset: number, bytesMax: number): Promise<RecordSlice> {
  const { bytes, nextOffset, aborted } = await log.readCommitted(offset, bytesMax)
  const records: RawRecord[] = []
  for (const { at, end, header } of batchesIn(bytes)) {
    if (isControl(header) || lastOffsetOf(header) < offset) continue
    const isAborted = aborted.some(
      ({ producerId, firstOffset, lastOffset }) =>
        producerId === header.producerId && firstOffset <= header.baseOffset && header.baseOffset <= lastOffset,
    )
    if (isAborted) continue
    const block = bytes.subarray(at + BATCH_HEADER_BYTES, end)
    const codec = codecOf(header)
    const inflated =
      codec === 0
        ? block
        : await (await codecs.find(codec)).decompress(
            block,
            Math.min(INFLATED_BYTES_MAX, inflatedBytesMax(block.length)),
          )
    for (const record of decodeRecords(header, inflated)) if (record.offset >= offset) records.push(record)
  }
  return { records, nextOffset }
}
