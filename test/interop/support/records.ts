/** The records that every client writes and reads, bytes as base64 text so that they compare and travel as JSON. */
import { bytes, connect, type RecordHeader, type TopicRecord } from '../../../client/index.ts'
import type { RawRecord } from '../../../protocol/records.ts'

export interface PlainRecord {
  key: string | null
  value: string | null
  headers: Array<[name: string, value: string | null]>
  timestamp: number
}

export interface ReadRecord extends PlainRecord {
  partition: number
  offset: number
}

const base64 = (text: string | Uint8Array) => Buffer.from(text).toString('base64')
const START_MS = 1_700_000_000_000
const BINARY = Uint8Array.from({ length: 256 }, (_, byte) => byte)

const inputs: Array<Omit<PlainRecord, 'timestamp'>> = [
  {
    key: base64('k1'),
    value: base64('one'),
    headers: [
      ['trace', base64('abc')],
      ['empty', ''],
    ],
  },
  { key: null, value: base64('without a key'), headers: [] },
  { key: base64('k1'), value: null, headers: [] },
  { key: '', value: '', headers: [] },
  {
    key: base64(Uint8Array.of(0, 0xff, 0x80)),
    value: base64(BINARY),
    headers: [
      ['binary', base64(BINARY)],
      ['twice', base64('1')],
      ['twice', base64('2')],
      ['größe', base64('ü')],
    ],
  },
  { key: base64('big'), value: base64('compresses well, '.repeat(500)), headers: [] },
]

export const RECORDS: readonly PlainRecord[] = inputs.map((record, index) => ({
  ...record,
  // Not in order of time: nothing may sort them.
  timestamp: START_MS + (index % 2 === 0 ? index : -index),
}))

/** One more, for clients that can write a header without a value. */
export const NULL_HEADER: PlainRecord = { key: null, value: '', headers: [['nothing', null]], timestamp: START_MS }

export function fromPlain({ key, value, headers, timestamp }: PlainRecord) {
  return {
    key: key === null ? null : Buffer.from(key, 'base64'),
    value: value === null ? null : Buffer.from(value, 'base64'),
    headers: headers.map(
      ([name, text]): RecordHeader => ({ key: name, value: text === null ? null : Buffer.from(text, 'base64') }),
    ),
    timestamp,
  }
}

/** Of partition 0. */
export function toRead({
  offset,
  timestamp,
  key,
  value,
  headers,
}: TopicRecord<Uint8Array, Uint8Array> | RawRecord): ReadRecord {
  return {
    ...{ partition: 0, offset, timestamp, key: key && base64(key), value: value && base64(value) },
    headers: headers.map((header) => [header.key, header.value && base64(header.value)]),
  }
}

/** Everything in a topic's partition 0, read by Ottla's own client over WebSocket. */
export async function readByOttla(url: string, topic: string, count: number): Promise<ReadRecord[]> {
  const ottla = await connect(url)
  try {
    const records: ReadRecord[] = []
    if (count === 0) return records
    for await (const record of ottla.topic(topic, { key: bytes, value: bytes }).read({ from: 'beginning' })) {
      records.push({ ...toRead(record), partition: record.partition })
      if (records.length === count) break
    }
    return records
  } finally {
    await ottla.close()
  }
}

export async function writeByOttla(url: string, topic: string, records: readonly PlainRecord[]): Promise<void> {
  const ottla = await connect(url)
  try {
    const out = ottla.topic(topic, { key: bytes, value: bytes })
    const receipts = records.map((record) => out.send({ ...fromPlain(record), partition: 0 }))
    await Promise.all(receipts.map(({ committed }) => committed))
  } finally {
    await ottla.close()
  }
}

export function atOffsets(records: readonly PlainRecord[], firstOffset = 0): ReadRecord[] {
  return records.map((record, index) => ({ partition: 0, offset: firstOffset + index, ...record }))
}
