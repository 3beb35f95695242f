/** From what an application sends to a record's bytes. Throws INVALID_VALUE or INVALID_ARGUMENT, naming the topic. */
import type { Clock } from '../../protocol/lib/clock.ts'
import { asOttlaError, OttlaError } from '../errors.ts'
import type { OutgoingMessage, RecordHeader } from '../record.ts'
import type { Serde } from '../serde.ts'
import type { OutgoingRecord } from './send-buffer.ts'

/** A topic's name and how its records are encoded; a `Topic` is one. */
export interface WritableTopic<K, V> {
  readonly name: string
  readonly key: Pick<Serde<K>, 'encode'>
  readonly value: Pick<Serde<V>, 'encode'>
}

export function encodeMessage<K, V>(
  topic: WritableTopic<K, V>,
  message: OutgoingMessage<K, V>,
  clock: Clock,
): OutgoingRecord {
  const { partition = null, timestamp = clock.now() } = message
  if (partition !== null && (!Number.isSafeInteger(partition) || partition < 0)) {
    throw new OttlaError('INVALID_ARGUMENT', { message: `partition ${partition} of ${topic.name} cannot be` })
  }
  if (!Number.isSafeInteger(timestamp)) {
    throw new OttlaError('INVALID_ARGUMENT', { message: `timestamp ${timestamp} is no whole number of milliseconds` })
  }
  return {
    key: encodeWith(topic.key, message.key ?? null, `key for ${topic.name}`),
    value: encodeWith(topic.value, message.value, `value for ${topic.name}`),
    headers: headersOf(message.headers),
    timestamp,
    partition,
  }
}

function encodeWith<T>(serde: Pick<Serde<T>, 'encode'>, given: T | null | undefined, what: string): Uint8Array | null {
  if (given === null || given === undefined) return null
  try {
    return serde.encode(given)
  } catch (cause) {
    const { message } = asOttlaError(cause, 'INVALID_VALUE')
    throw new OttlaError('INVALID_VALUE', { message: `${what}: ${message}`, cause })
  }
}

const encoder = /* @__PURE__ */ new TextEncoder()

function headersOf(given: OutgoingMessage<unknown, unknown>['headers']): readonly RecordHeader[] {
  if (given === undefined) return []
  if (Array.isArray(given)) return given
  return Object.entries(given as Readonly<Record<string, string | Uint8Array>>).map(([key, value]) => ({
    key,
    value: typeof value === 'string' ? encoder.encode(value) : value,
  }))
}
