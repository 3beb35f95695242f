/** What lies in the outbox, as records: for whoever shows a person what waits, or what was refused. */
import { standardCodecs } from '../../protocol/codecs/standard.ts'
import type { CodecRegistry } from '../../protocol/compression.ts'
import type { RawRecord } from '../../protocol/records.ts'
import { decodePieces } from '../consumer/decode-frame.ts'
import type { ExportedEntry } from '../core.ts'

/** Of one of `outbox.export()`'s entries: keys, values and headers as they were sent. */
export function recordsOf({ batch }: Pick<ExportedEntry, 'batch'>, codecs = standardCodecs()): Promise<RawRecord[]> {
  return recordsIn(batch, codecs)
}

export async function recordsIn(batch: Uint8Array, codecs: CodecRegistry): Promise<RawRecord[]> {
  const frame = {
    partition: -1,
    batches: batch,
    fromOffset: 0,
    nextOffset: 0,
    aborted: [],
    gap: undefined,
    release() {},
  }
  const records: RawRecord[] = []
  for await (const piece of decodePieces(frame, codecs, Number.POSITIVE_INFINITY)) records.push(...piece)
  return records
}
