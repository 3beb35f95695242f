/** A delivery's committed records from `fromOffset` on. gzip is inflated by the platform; other codecs are an error. */
import { INFLATED_BYTES_MAX, inflateGzip } from '../../protocol/compression.ts'
import { BATCH_HEADER_BYTES, type BatchHeader, batchesIn, codecOf, isControl } from '../../protocol/record-batch.ts'
import { decodeRecords, type RawRecord } from '../../protocol/records.ts'
import { TailError } from './tail-error.ts'
import type { Aborted } from './tail-wire.ts'

export async function recordsOf(batches: Uint8Array, fromOffset: number, aborted: Aborted[]): Promise<RawRecord[]> {
  const records: RawRecord[] = []
  for (const { at, end, header } of batchesIn(batches)) {
    const { producerId, baseOffset } = header
    const isAborted = aborted.some(
      ([id, first, last]) => id === producerId && first <= baseOffset && baseOffset <= last,
    )
    if (isAborted || isControl(header)) continue
    const block = batches.subarray(at + BATCH_HEADER_BYTES, end)
    for (const record of decodeRecords(header, await inflated(header, block))) {
      if (record.offset >= fromOffset) records.push(record)
    }
  }
  return records
}

function inflated(header: BatchHeader, block: Uint8Array): Uint8Array | Promise<Uint8Array> {
  const codec = codecOf(header)
  if (codec > 1) throw new TailError('NO_CODEC', `codec ${codec} needs the full client`)
  return codec ? inflateGzip(block, INFLATED_BYTES_MAX) : block
}

export function lastEpochOf(batches: Uint8Array): number {
  let epoch = -1
  for (const { header } of batchesIn(batches)) epoch = header.leaderEpoch
  return epoch
}
