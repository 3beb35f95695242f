/** The values of all records in whole batches, as text, with their offsets. */
import { BATCH_HEADER_BYTES, batchesIn } from '../../protocol/record-batch.ts'
import { decodeRecords } from '../../protocol/records.ts'

const text = new TextDecoder()

export function recordsIn(bytes: Uint8Array): Array<{ offset: number; value: string }> {
  const found: Array<{ offset: number; value: string }> = []
  for (const { at, end, header } of batchesIn(bytes)) {
    for (const { offset, value } of decodeRecords(header, bytes.subarray(at + BATCH_HEADER_BYTES, end))) {
      found.push({ offset, value: value ? text.decode(value) : '' })
    }
  }
  return found
}
