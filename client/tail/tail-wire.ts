/**
 * The few messages that a live tail speaks, written by hand.
 *
 * The schemas of protocol/ describe every API in every version and cost more than a whole tail may weigh. What stands
 * here is the same protocol in the versions named, and a test compares each message with the schema's bytes. All are
 * flexible: compact lengths (length + 1), a tag section (0) behind every struct.
 */
import { MalformedError, type Reader } from '../../protocol/bytes/reader.ts'

/** Correlation ids. Single constants, which a bundler folds; the same below. */
export const VERSIONS = 1
export const HELLO = 2
export const METADATA = 3
export const SUBSCRIBE = 4
const PING = 5
const READ_COMMITTED = 1
/** Pushes by their keys. */
export const DELIVER = 20010
export const SUBSCRIPTION_ENDED = 20012

type Part = number | readonly number[] | Uint8Array

const int16 = (value: number): number[] => [value >> 8, value]
const int32 = (value: number): number[] => [value >> 24, value >> 16, value >> 8, value]
const int64 = (value: number): number[] => [
  ...int32(Math.floor(value / 4_294_967_296)),
  ...int32((value % 4_294_967_296) | 0),
]
/** Names have at most 249 bytes and counts stay below 16,000: two bytes hold every length + 1. */
const compact = (length: number): number[] =>
  length < 127 ? [length + 1] : [((length + 1) & 127) | 128, (length + 1) >> 7]
const text = (value: string): Part[] => {
  const encoded = new TextEncoder().encode(value)
  return [compact(encoded.length), encoded]
}

/** Request header 2 without client id, then the body; the last tag section is the body's own. */
function request(key: number, version: number, correlationId: number, ...body: Part[]): Uint8Array<ArrayBuffer> {
  const parts: Part[] = [int16(key), int16(version), int32(correlationId), [255, 255], 0, ...body, 0]
  return Uint8Array.from(parts.flatMap((part) => (typeof part === 'number' ? [part] : [...part])))
}

export const apiVersionsRequest = () => request(18, 3, VERSIONS, ...text('ottla-js'), ...text('0.1.0'))

export const helloRequest = (replicaId: Uint8Array, generation: number, heartbeatMs: number) =>
  request(20000, 0, HELLO, replicaId, int64(generation), int32(heartbeatMs))

/** Version 12: one topic by name, never created by asking. */
export const metadataRequest = (topic: string) =>
  request(3, 12, METADATA, compact(1), new Uint8Array(16), ...text(topic), 0, 0, 0)

export interface WantedPartition {
  partition: number
  offset: number
  leaderEpoch: number
  credit: number
}

export const subscribeRequest = (topicId: Uint8Array, wanted: readonly WantedPartition[]) =>
  request(
    20001,
    0,
    SUBSCRIBE,
    READ_COMMITTED,
    compact(wanted.length),
    ...wanted.flatMap((each): Part[] => [
      topicId,
      int32(each.partition),
      int64(each.offset),
      int32(each.leaderEpoch),
      int32(each.credit),
      0,
    ]),
  )

export const grantRequest = (topicId: Uint8Array, partition: number, bytes: number) =>
  request(20002, 0, 0, compact(1), topicId, int32(partition), int32(bytes), 0)

export const pingRequest = (timeMs: number) => request(20004, 0, PING, int64(timeMs))

/** Over a text (1 byte each), or an array of what has a fixed size; either may be null. */
function skipCompact(reader: Reader, bytesEach = 1): void {
  reader.skip(bytesEach * Math.max(0, reader.uvarint() - 1))
}

/** Counts are checked against what is left: each element takes a byte at least. */
function readArray<T>(reader: Reader, read: () => T): T[] {
  const count = reader.uvarint() - 1
  if (count > reader.remaining) throw new MalformedError(`${count} elements in ${reader.remaining} bytes`)
  return Array.from({ length: Math.max(0, count) }, () => {
    const element = read()
    skipTags(reader)
    return element
  })
}

export function skipTags(reader: Reader): void {
  for (let count = reader.uvarint(); count > 0; count--) {
    reader.uvarint()
    reader.skip(reader.uvarint())
  }
}

export function readHello(reader: Reader): { errorCode: number; heartbeatMs: number } {
  const errorCode = reader.int16()
  skipCompact(reader)
  return { errorCode, heartbeatMs: reader.int32() }
}

export interface FoundTopic {
  errorCode: number
  topicId: Uint8Array
  partitions: number[]
}

export function readMetadata(reader: Reader): FoundTopic | undefined {
  reader.skip(4)
  readArray(reader, () => {
    reader.skip(4)
    skipCompact(reader)
    reader.skip(4)
    skipCompact(reader)
  })
  skipCompact(reader)
  reader.skip(4)
  return readArray(reader, () => {
    const errorCode = reader.int16()
    skipCompact(reader)
    const topicId = reader.bytes(16)
    reader.skip(1)
    const partitions = readArray(reader, () => readPartition(reader))
    reader.skip(4)
    return { errorCode, topicId, partitions }
  })[0]
}

function readPartition(reader: Reader): number {
  reader.skip(2)
  const partition = reader.int32()
  reader.skip(8)
  for (let list = 0; list < 3; list++) skipCompact(reader, 4)
  return partition
}

export interface PartitionAnswer {
  partition: number
  errorCode: number
  logStart: number
  truncateTo: number
  /** These two only from Subscribe. The end of what is committed or aborted. */
  end: number
  startOffset: number
}

/** Subscribe's answer and SubscriptionEnded begin and end alike; only the first has something in between. */
function readAnswer(reader: Reader, isStarted: boolean): PartitionAnswer {
  reader.skip(16)
  const partition = reader.int32()
  const errorCode = reader.int16()
  const logStart = reader.int64()
  let end = 0
  let startOffset = 0
  if (isStarted) {
    reader.skip(8)
    end = reader.int64()
    reader.skip(4)
    startOffset = reader.int64()
  }
  return { partition, errorCode, logStart, end, startOffset, truncateTo: reader.int64() }
}

export function readSubscribed(reader: Reader): PartitionAnswer[] {
  reader.skip(4)
  return readArray(reader, () => readAnswer(reader, true))
}

export const readEnded = (reader: Reader) => readAnswer(reader, false)

/** Of a producer, from an offset to another. */
export type Aborted = [producerId: number, firstOffset: number, lastOffset: number]

export interface Delivered {
  partition: number
  nextOffset: number
  aborted: Aborted[]
  records: Uint8Array
}

export function readDeliver(reader: Reader): Delivered {
  reader.skip(16)
  const partition = reader.int32()
  reader.skip(28)
  const nextOffset = reader.int64()
  const aborted: Aborted[] = []
  for (let count = reader.int32(); count > 0; count--) aborted.push([reader.int64(), reader.int64(), reader.int64()])
  return { partition, nextOffset, aborted, records: reader.bytes(reader.int32()) }
}
