/**
 * The small entry: the live tail of one topic, without storage. Connect, subscribe, iterate; a few kilobytes.
 *
 *     for await (const record of tail('wss://example.org', 'flights', { value: json<Flight>() })) show(record)
 *
 * One socket for each tail, all partitions of the topic on it. Reconnects with full jitter and goes on where it was;
 * credit holds the relay back while the application is busy. Several topics, replicas and writing are the full client's.
 *
 * Only committed records are given: what a transaction writes comes when it has ended, or never. The full client can read
 * otherwise.
 *
 * Batches are not checked against their checksums here, the relay has done that; the full client does it again.
 *
 * Invariants: a record is given once, in order within its partition; what is missing is said by `gap` on the next record.
 */
import { systemClock } from '../protocol/lib/clock.ts'
import { systemRandom } from '../protocol/lib/random.ts'
import { browserWakeUps } from './browser-wake-ups.ts'
import type { TopicRecord } from './record.ts'
import { bytes, type Serde, string } from './serde.ts'
import { TailConnection, type TailEnvironment, type TailRecord, type TailState } from './tail/tail-connection.ts'
import { TailError } from './tail/tail-error.ts'
import type { TailPosition } from './tail/tail-start.ts'
import type { Transport } from './transport/transport.ts'
import { type WebSocketConstructor, webSocketTransport } from './transport/websocket.ts'

export type { Gap, TopicRecord } from './record.ts'
export { bytes, json, type Serde, string } from './serde.ts'
export type { TailPosition, TailState }
export { TailError }

export interface TailOptions<K, V> {
  /** Default: `string`. */
  key?: Serde<K>
  /** Default: `bytes`. */
  value?: Serde<V>
  /** Default 'end'. */
  from?: TailPosition
  /** Default: all. */
  partitions?: readonly number[]
  /** Bytes that may wait for the application, for each partition. Default 1 MiB. */
  bufferBytesMax?: number
  /** Ends the tail; the iteration throws ABORTED. */
  signal?: AbortSignal
  onState?: (state: TailState) => void
  /** Default: the platform's. On Node 20 pass the one of the package `ws`. */
  webSocket?: WebSocketConstructor
  /** Instead of a plain WebSocket: that of `signedIn` (sign-in.js), where the relay asks who comes. */
  transport?: Transport
  /** Clock, randomness, transport and wake-ups other than the platform's, for tests. */
  environment?: Partial<TailEnvironment>
}

export interface Tail<K, V> extends AsyncIterable<TopicRecord<K, V>> {
  /** Ends the tail and its iteration. Idempotent. */
  close(): void
}

/**
 * Connects at once. The iteration throws a TailError when the tail is over for good: UNKNOWN_TOPIC, NOT_AUTHORIZED,
 * TOPIC_RECREATED, REFUSED, REPLACED, NEEDS_AUTH, INVALID_VALUE, NO_CODEC, ABORTED, INVALID_ARGUMENT, NO_WEBSOCKET.
 */
export function tail<K = string, V = Uint8Array>(
  url: string,
  topic: string,
  options: TailOptions<K, V> = {},
): Tail<K, V> {
  const { key = string as unknown as Serde<K>, value = bytes as unknown as Serde<V>, webSocket, environment } = options
  const { transport = webSocketTransport(webSocket) } = options
  const connection = new TailConnection(url, topic, options, {
    clock: systemClock,
    random: systemRandom,
    transport,
    wakeUps: browserWakeUps(),
    ...environment,
  })
  return {
    close: () => connection.close(),
    async *[Symbol.asyncIterator]() {
      try {
        for await (const raw of connection.records()) yield { topic, ...raw, ...typed(raw, key, value) }
      } finally {
        connection.close()
      }
    },
  }
}

function typed<K, V>(raw: TailRecord, key: Serde<K>, value: Serde<V>): { key: K | null; value: V | null } {
  try {
    return { key: raw.key && key.decode(raw.key), value: raw.value && value.decode(raw.value) }
  } catch (cause) {
    throw new TailError('INVALID_VALUE', `record ${raw.offset} of partition ${raw.partition}: ${cause}`, { cause })
  }
}
