/**
 * From a frame's bytes to its records: checks each batch, inflates it when it is compressed, leaves out what readers
 * never see (control batches, aborted transactions, records below the position).
 */
import { type CodecRegistry, inflatedBytesMax } from '../../protocol/compression.ts'
import type { AbortedTransaction } from '../../protocol/messages/offset-protocol.ts'
import {
  BATCH_HEADER_BYTES,
  type BatchHeader,
  batchesIn,
  codecOf,
  computeBatchCrc,
  isControl,
} from '../../protocol/record-batch.ts'
import { decodeRecords, type RawRecord } from '../../protocol/records.ts'
import { asOttlaError, OttlaError } from '../errors.ts'
import type { Frame } from './source.ts'

/** All records of the frame. */
export async function decodeFrame(frame: Frame, codecs: CodecRegistry): Promise<RawRecord[]> {
  const all: RawRecord[][] = []
  for await (const piece of decodePieces(frame, codecs, Number.POSITIVE_INFINITY)) all.push(piece)
  return all.flat()
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
    const block = frame.batches.subarray(at + BATCH_HEADER_BYTES, end)
    const codec = codecOf(header)
    try {
      if (computeBatchCrc(frame.batches, at, header.sizeBytes) !== header.crc)
        throw corrupt(frame, header, 'does not match its checksum')
      if (isAborted(header) || isControl(header)) continue
      const inflated = codec === 0 ? block : await inflate(codecs, codec, block)
      for (const record of decodeRecords(header, inflated)) {
        if (record.offset < frame.fromOffset || (frame.matches && !frame.matches(record.key))) continue
        piece.push(record)
        if (piece.length < countMax) continue
        yield piece
        piece = []
      }
    } catch (thrown) {
      if (piece.length > 0) yield piece
      if (thrown instanceof OttlaError) throw thrown
      const hint = `read behind offset ${header.baseOffset + header.lastOffsetDelta}`
      throw corrupt(frame, header, 'cannot be read', { hint, retriable: false, cause: thrown })
    }
  }
  if (piece.length > 0) yield piece
}

async function inflate(codecs: CodecRegistry, id: Exclude<ReturnType<typeof codecOf>, 0>, block: Uint8Array) {
  const codec = await codecs.find(id).catch((cause: unknown) => {
    throw asOttlaError(cause, 'NO_CODEC')
  })
  return codec.decompress(block, inflatedBytesMax(block.length))
}

function corrupt({ partition }: Frame, { baseOffset }: BatchHeader, what: string, more?: object): OttlaError {
  return new OttlaError('CORRUPT', {
    message: `the batch at offset ${baseOffset} of partition ${partition} ${what}`,
    ...more,
  })
}

/** By producer: a frame may name thousands. What lies between a transaction's first and last offset is all its own. */
function abortedFilter(aborted: readonly AbortedTransaction[]): (header: BatchHeader) => boolean {
  const byProducer = new Map<number, AbortedTransaction[]>()
  for (const transaction of aborted) {
    const known = byProducer.get(transaction.producerId)
    if (known) known.push(transaction)
    else byProducer.set(transaction.producerId, [transaction])
  }
  return ({ producerId, baseOffset }) =>
    byProducer
      .get(producerId)
      ?.some(({ firstOffset, lastOffset }) => firstOffset <= baseOffset && baseOffset <= lastOffset) ?? false
}
