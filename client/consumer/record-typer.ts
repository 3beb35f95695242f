/** Bytes of keys and values into what the application's serdes make of them. */
import type { RawRecord } from '../../protocol/records.ts'
import { OttlaError } from '../errors.ts'
import type { TopicRecord } from '../record.ts'
import type { Serde } from '../serde.ts'

/** A record whose key or value a serde refused. Its bytes are there to look at. */
export interface Undecodable {
  topic: string
  partition: number
  record: RawRecord
  error: OttlaError
}

export function recordTyper<K, V>(
  { topic, key, value }: { topic: string; key: Serde<K>; value: Serde<V> },
  onUndecodable: ((failure: Undecodable) => void) | undefined,
): (partition: number, records: RawRecord[]) => TopicRecord<K, V>[] {
  const typed = (partition: number, raw: RawRecord): TopicRecord<K, V> => ({
    topic,
    partition,
    offset: raw.offset,
    timestamp: raw.timestamp,
    key: raw.key && key.decode(raw.key),
    value: raw.value && value.decode(raw.value),
    headers: raw.headers,
  })
  return (partition, records) => {
    const result: TopicRecord<K, V>[] = []
    for (const record of records) {
      try {
        result.push(typed(partition, record))
      } catch (cause) {
        const why = cause instanceof Error ? cause.message : String(cause)
        const message = `record ${record.offset} of ${topic}-${partition} cannot be decoded: ${why}`
        const error = new OttlaError('INVALID_VALUE', { message, cause })
        if (!onUndecodable) throw error
        onUndecodable({ topic, partition, record, error })
      }
    }
    return result
  }
}
