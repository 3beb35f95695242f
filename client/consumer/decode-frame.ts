/**
 * From a frame's bytes to its records: checks each batch, inflates it when it is compressed, leaves out what readers
 * never see (control batches, aborted transactions, records below the position).
 */
import { type CodecRegistry, INFLATED_BYTES_MAX } from '../../protocol/compression.ts'
import {
  BATCH_HEADER_BYTES,
  type BatchHeader,
  batchesIn,
  codecOf,
  computeBatchCrc,
  isControl,
  isTransactional,
} from '../../protocol/record-batch.ts'
import { decodeRecords, type RawRecord } from '../../protocol/records.ts'
import { OttlaError } from '../errors.ts'
import type { AbortedTransaction, Frame } from './source.ts'

/** All records of the frame. */
export async function decodeFrame(frame: Frame, codecs: CodecRegistry): Promise<RawRecord[]> {
  const all = await decodePieces(frame, codecs, Number.POSITIVE_INFINITY).next()
  return all.value ?? []
}

/** The same in pieces of at most `countMax` records, never an empty one, so that the first need not wait for the last. */
export async function* decodePieces(
  frame: Frame,
  codecs: CodecRegistry,
  countMax: number,
): AsyncGenerator<RawRecord[], undefined> {
  let piece: RawRecord[] = []
  const isAborted = abortedFilter(frame.aborted)
  for (const { at, end, header } of batchesIn(frame.batches)) {
    if (header.baseOffset + header.lastOffsetDelta < frame.fromOffset) continue
    checkCrc(frame, at, header)
    if (isAborted(header) || isControl(header)) continue
    const block = frame.batches.subarray(at + BATCH_HEADER_BYTES, end)
    const codec = codecOf(header)
    const inflated = codec === 0 ? block : await inflate(codecs, codec, block)
    for (const record of decodeRecords(header, inflated)) {
      if (record.offset < frame.fromOffset) continue
      piece.push(record)
      if (piece.length < countMax) continue
      yield piece
      piece = []
    }
  }
  if (piece.length > 0) yield piece
}

async function inflate(codecs: CodecRegistry, id: Exclude<ReturnType<typeof codecOf>, 0>, block: Uint8Array) {
  const codec = await codecs.find(id).catch((cause: unknown) => {
    throw new OttlaError('NO_CODEC', { message: cause instanceof Error ? cause.message : String(cause), cause })
  })
  return codec.decompress(block, INFLATED_BYTES_MAX)
}

function checkCrc(frame: Frame, at: number, header: BatchHeader): void {
  if (computeBatchCrc(frame.batches, at, header.sizeBytes) === header.crc) return
  throw new OttlaError('CORRUPT', {
    message: `the batch at offset ${header.baseOffset} of partition ${frame.partition} does not match its checksum`,
  })
}

/** Kafka's way: a producer's transaction is aborted from the listed offset to that producer's next control batch. */
function abortedFilter(aborted: readonly AbortedTransaction[]): (header: BatchHeader) => boolean {
  const upcoming = [...aborted].sort((a, b) => a.firstOffset - b.firstOffset)
  const open = new Set<number>()
  return (header) => {
    if (!isTransactional(header)) return false
    while (upcoming[0] && upcoming[0].firstOffset <= header.baseOffset + header.lastOffsetDelta) {
      open.add(upcoming.shift()!.producerId)
    }
    const isInAborted = open.has(header.producerId)
    if (isControl(header)) open.delete(header.producerId)
    return isInAborted
  }
}
