/** A record's value: the name by which the history knows it, and as many bytes behind it as it should have. */
import { batchesIn, codecOf, isControl } from '../../../protocol/record-batch.ts'
import { decodeRecords, type RecordInput } from '../../../protocol/records.ts'
import type { Dice } from '../world/dice.ts'

/** Where the newest record of each key stays. Everything in it has a key. */
export const COMPACTED_TOPIC = 'table'
const KEYS = 6
export const ALL_KEYS = Array.from({ length: KEYS }, (_, index) => `key-${index}`)

const FILLER = '~'
const HEADER_BYTES = 61
const utf8 = new TextEncoder()
const text = new TextDecoder()

export const keyFor = (topic: string, dice: Dice): string | null =>
  topic === COMPACTED_TOPIC || dice.chance(0.3) ? `key-${dice.below(KEYS)}` : null

export const valueBytes = (name: string, sizeBytes: number): Uint8Array => utf8.encode(name.padEnd(sizeBytes, FILLER))

export function nameOf({ value, headers = [] }: Pick<RecordInput, 'value' | 'headers'>): string {
  const named = value ?? headers.find(({ key }) => key === NAME_HEADER)?.value
  const whole = text.decode(named ?? new Uint8Array(0))
  const end = whole.indexOf(FILLER)
  return end < 0 ? whole : whole.slice(0, end)
}

export function recordOf(name: string, sizeBytes: number, timestamp: number, key: string | null): RecordInput {
  return { key: key === null ? null : utf8.encode(key), value: valueBytes(name, sizeBytes), timestamp }
}

/** A tombstone has no value to be known by. */
export const NAME_HEADER = 'name'

export function tombstoneOf(name: string, timestamp: number, key: string | null): RecordInput {
  const headers = [{ key: NAME_HEADER, value: utf8.encode(name) }]
  return { key: key === null ? null : utf8.encode(key), value: null, timestamp, headers }
}

/** Those of the values that are to delete their keys. */
export const tombstonesAmong = (topic: string, values: readonly string[], dice: Dice): string[] =>
  topic === COMPACTED_TOPIC ? values.filter(() => dice.chance(0.15)) : []

export interface ReadBatch {
  nextOffset: number
  producerId: number
  isControl: boolean
  isTransactional: boolean
  records: Array<[offset: number, value: string]>
}

/** What a Kafka client makes of the bytes of a Fetch answer. A cut-off batch at the end is left out. */
export function* readBatches(bytes: Uint8Array): Generator<ReadBatch> {
  for (const { at, end, header } of batchesIn(bytes)) {
    if (codecOf(header) !== 0) throw new Error('nobody compresses here')
    const records = isControl(header) ? [] : [...decodeRecords(header, bytes.subarray(at + HEADER_BYTES, end))]
    yield {
      nextOffset: header.baseOffset + header.lastOffsetDelta + 1,
      producerId: header.producerId,
      isControl: isControl(header),
      isTransactional: (header.attributes & 0x10) !== 0,
      records: records.map((record): [number, string] => [record.offset, nameOf(record)]),
    }
  }
}
