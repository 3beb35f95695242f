/**
 * The small entry: a live tail without storage. Connect, subscribe, iterate; nothing is kept and nothing can be written.
 *
 *     const relay = connectLive('wss://example.org')
 *     for await (const record of relay.read('flights', { value: json<Flight>() })) show(record)
 *
 * Must stay within 6 kB of gzip (test/client/bundle.test.ts).
 */
import { CodecRegistry } from '../protocol/compression.ts'
import { systemClock } from '../protocol/lib/clock.ts'
import { systemRandom } from '../protocol/lib/random.ts'
import { randomUuid } from '../protocol/lib/uuid.ts'
import { browserWakeUps } from './browser-wake-ups.ts'
import { Lanes } from './consumer/lanes.ts'
import { openLiveSource } from './consumer/live-source.ts'
import { Reader, type ReadOptions } from './consumer/reader.ts'
import { generationCounter } from './generation.ts'
import { openSession } from './live-session.ts'
import { bytes, type Serde, string } from './serde.ts'
import type { ConnectionState } from './session.ts'
import { type WebSocketConstructor, webSocketTransport } from './transport/websocket.ts'

export { OttlaError } from './errors.ts'
export { bytes, json, type Serde, schema, string } from './serde.ts'

export interface LiveOptions {
  clientId?: string
  /** Default: the platform's. On Node 20 pass the one of the package `ws`. */
  webSocket?: WebSocketConstructor
}

export interface LiveReadOptions<K, V> extends ReadOptions {
  /** Default: `string`. */
  key?: Serde<K>
  /** Default: `bytes`. */
  value?: Serde<V>
}

export interface LiveRelay {
  readonly state: ConnectionState
  onState(listener: (state: ConnectionState) => void): () => void
  /** Register codecs here to read batches that are compressed by something other than gzip. */
  readonly codecs: CodecRegistry
  /** Never fails for want of a connection: it waits for one. */
  read<K = string, V = Uint8Array>(topic: string, options?: LiveReadOptions<K, V>): Reader<K, V>
  close(): Promise<void>
}

/** Returns at once and connects in the background. Throws NO_WEBSOCKET or INVALID_ARGUMENT only by way of `state`. */
export function connectLive(url: string, { clientId, webSocket }: LiveOptions = {}): LiveRelay {
  const open = () =>
    openSession({
      url,
      transport: webSocketTransport(webSocket),
      clock: systemClock,
      random: systemRandom,
      identity: { replicaId: randomUuid(systemRandom), nextGeneration: generationCounter(systemClock) },
      clientId,
      wakeUps: browserWakeUps(),
    })
  const session = open()
  const lanes = new Lanes(session, open)
  const codecs = new CodecRegistry()
  return {
    get state() {
      return session.state
    },
    onState: (listener) => session.onState(listener),
    codecs,
    read<K, V>(topic: string, options: LiveReadOptions<K, V> = {}) {
      const { key = string as unknown as Serde<K>, value = bytes as unknown as Serde<V>, ...readOptions } = options
      const openSource = (partitions: readonly number[] | undefined, signal: AbortSignal) =>
        openLiveSource(lanes, topic, partitions, signal)
      return new Reader<K, V>({ topic, key, value, codecs, open: openSource }, readOptions)
    },
    async close() {
      await lanes.close()
      await session.close()
    },
  }
}
