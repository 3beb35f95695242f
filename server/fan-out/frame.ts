/**
 * One delivery, encoded once for everybody who stands at the same offset.
 *
 *   | WebSocket header 2-10 | push header and Deliver fields 72 + 24 for each aborted transaction | record batches |
 *
 * The whole is one buffer: a WebSocket door writes it as it is, a door with another framing takes `payload`. A frame is
 * never changed after it has been made, because many sockets hold it at the same time.
 */

import { concatenate } from '../../protocol/compression.ts'
import { uuidToBytes } from '../../protocol/lib/uuid.ts'
import {
  type AbortedTransaction,
  DELIVER_ABORTED_BYTES,
  DELIVER_HEADER_BYTES,
  deliver,
  deliverMatching,
  encodePush,
  PUSH_CORRELATION_ID,
  type SkippedRange,
} from '../../protocol/messages/offset-protocol.ts'
import { webSocketHeaderBytes, writeWebSocketHeader } from '../listener/websocket-frame.ts'

export interface Frame {
  /** WebSocket header and message. */
  readonly bytes: Buffer
  /** Where the message begins in `bytes`. */
  readonly payloadAt: number
  /** What it costs a subscriber's credit: the bytes of record batches. */
  readonly recordBytes: number
  readonly baseOffset: number
  readonly nextOffset: number
  /** It says "you have everything", which is true only now. */
  readonly saysEnd: boolean
}

export interface FrameFields {
  topicId: string
  partition: number
  leaderEpoch: number
  logStart: number
  highWatermark: number
  lastStableOffset: number
  baseOffset: number
  nextOffset: number
}

const SKIPPED_BYTES = 16
const TWO_TO_32 = 4_294_967_296
const NONE: readonly AbortedTransaction[] = []

/** `batches` are whole batches in order; none for a mark that says "you have everything". */
export function buildFrame(
  fields: FrameFields,
  batches: readonly Uint8Array[],
  aborted: readonly AbortedTransaction[] = NONE,
): Frame {
  let recordBytes = 0
  for (const batch of batches) recordBytes += batch.length
  const recordsAt = DELIVER_HEADER_BYTES + aborted.length * DELIVER_ABORTED_BYTES
  const messageBytes = recordsAt + recordBytes
  const payloadAt = webSocketHeaderBytes(messageBytes)
  const bytes = Buffer.allocUnsafeSlow(payloadAt + messageBytes)
  writeWebSocketHeader(bytes, messageBytes)
  writeFields(bytes, payloadAt, fields)
  bytes.writeInt32BE(aborted.length, payloadAt + 64)
  let at = payloadAt + 68
  for (const { producerId, firstOffset, lastOffset } of aborted) {
    writeInt64(bytes, at, producerId)
    writeInt64(bytes, at + 8, firstOffset)
    writeInt64(bytes, at + 16, lastOffset)
    at += DELIVER_ABORTED_BYTES
  }
  bytes.writeInt32BE(recordBytes, at)
  at += 4
  for (const batch of batches) {
    bytes.set(batch, at)
    at += batch.length
  }
  const { baseOffset, nextOffset, highWatermark, lastStableOffset } = fields
  const saysEnd = nextOffset === highWatermark || nextOffset === lastStableOffset
  return { bytes, payloadAt, recordBytes, baseOffset, nextOffset, saysEnd }
}

export interface MatchingFrameFields extends FrameFields {
  aborted: readonly AbortedTransaction[]
  lastEpoch: number
  skipped: readonly SkippedRange[]
}

/** For one subscription to some keys. */
export function buildMatchingFrame(fields: MatchingFrameFields, batches: readonly Uint8Array[]): Frame {
  const records = concatenate(batches)
  const { baseOffset, nextOffset, aborted, skipped, ...rest } = fields
  const body = { ...rest, nextOffset, aborted: [...aborted], skipped: [...skipped], records }
  const sizeHint = records.length + 128 + aborted.length * DELIVER_ABORTED_BYTES + skipped.length * SKIPPED_BYTES
  const message = encodePush(deliverMatching, body, { sizeHint })
  const payloadAt = webSocketHeaderBytes(message.length)
  const bytes = Buffer.allocUnsafeSlow(payloadAt + message.length)
  writeWebSocketHeader(bytes, message.length)
  bytes.set(message, payloadAt)
  return { bytes, payloadAt, recordBytes: records.length, baseOffset, nextOffset, saysEnd: false }
}

/** The fixed part of `Deliver`. A test holds it against the schema. */
function writeFields(bytes: Buffer, from: number, fields: FrameFields): void {
  bytes.writeInt32BE(PUSH_CORRELATION_ID, from)
  bytes.writeInt16BE(deliver.key, from + 4)
  bytes.writeInt16BE(deliver.version, from + 6)
  bytes.set(uuidToBytes(fields.topicId), from + 8)
  bytes.writeInt32BE(fields.partition, from + 24)
  bytes.writeInt32BE(fields.leaderEpoch, from + 28)
  writeInt64(bytes, from + 32, fields.logStart)
  writeInt64(bytes, from + 40, fields.highWatermark)
  writeInt64(bytes, from + 48, fields.lastStableOffset)
  writeInt64(bytes, from + 56, fields.nextOffset)
}

function writeInt64(bytes: Buffer, at: number, value: number): void {
  bytes.writeInt32BE(Math.floor(value / TWO_TO_32), at)
  bytes.writeUInt32BE(value % TWO_TO_32, at + 4)
}
