/**
 * What two sides tell each other before anything else: ApiVersions (which APIs, in which versions), then Hello (which
 * replica, by how new a connection; limits, heartbeat, the relay's clock).
 *
 * Both are sent at once, the relay answers in order: one round trip, however far away it is. Where an Apache Kafka may
 * be at the other end, Hello waits for the first answer: Kafka closes connections over messages that it does not know.
 */
import type { Api } from '../protocol/api.ts'
import { grant, hello, ping, subscribe, unsubscribe } from '../protocol/messages/offset-protocol.ts'
import { apiVersions } from '../protocol/messages/versions.ts'
import type { Connection } from './connection.ts'
import { OttlaError } from './errors.ts'
import { kafkaFailure } from './kafka-failure.ts'
import type { RelayClock } from './relay-clock.ts'
import type { RelayLimits } from './session.ts'

export const CLIENT_SOFTWARE_NAME = 'ottla-js'
export const CLIENT_SOFTWARE_VERSION = '0.1.0'
const API_VERSIONS_VERSION = 3
/** A relay that grants less than this per subscription could not deliver at all. */
const LIMIT_BYTES_MIN = 1024

type SomeApi = Pick<Api<unknown, unknown, never, never>, 'key' | 'name' | 'minVersion' | 'maxVersion'>

/** The versions that the relay offers, by API key. */
export class OfferedVersions {
  readonly #ranges: Map<number, { min: number; max: number }>

  constructor(apiKeys: ReadonlyArray<{ apiKey: number; minVersion: number; maxVersion: number }>) {
    this.#ranges = new Map(apiKeys.map((range) => [range.apiKey, { min: range.minVersion, max: range.maxVersion }]))
  }

  offers({ key }: Pick<SomeApi, 'key'>): boolean {
    return this.#ranges.has(key)
  }

  /** The newest version that both sides speak. Throws UNSUPPORTED when there is none. */
  choose(api: SomeApi): number {
    const range = this.#ranges.get(api.key)
    if (!range) throw new OttlaError('UNSUPPORTED', { message: `${api.name} is not offered there` })
    const version = Math.min(api.maxVersion, range.max)
    if (version >= api.minVersion && version >= range.min) return version
    throw new OttlaError('UNSUPPORTED', {
      message: `${api.name}: the other side speaks versions ${range.min}-${range.max}, this client ${api.minVersion}-${api.maxVersion}`,
    })
  }
}

/** An Apache Kafka: no Hello, so no limits, no heartbeat, no clock. */
export interface KafkaHandshake {
  versions: OfferedVersions
  isKafka: true
}

export interface RelayHandshake {
  versions: OfferedVersions
  isKafka: false
  limits: RelayLimits
  heartbeatMs: number
}

export type Handshake = KafkaHandshake | RelayHandshake

export interface HandshakeOptions {
  replicaId: string
  generation: number
  /** What this side would like; the relay decides. */
  heartbeatMs: number
  timeoutMs: number
  mayBeKafka: boolean
  /** Hello is the first question about the time. */
  relayClock: RelayClock
}

export async function shakeHands(connection: Connection, options: HandshakeOptions): Promise<Handshake> {
  const offered = askVersions(connection, options)
  if (options.mayBeKafka && !(await offered).offers(hello)) return { versions: await offered, isKafka: true }
  const greeted = greet(connection, options)
  const [versions, greeting] = await Promise.all([offered, greeted])
  // They belong together, and are used later where nobody could catch that one is missing.
  for (const api of [subscribe, grant, unsubscribe, ping]) versions.choose(api)
  return { versions, isKafka: false, ...greeting }
}

async function askVersions(connection: Connection, { timeoutMs }: HandshakeOptions): Promise<OfferedVersions> {
  const software = { clientSoftwareName: CLIENT_SOFTWARE_NAME, clientSoftwareVersion: CLIENT_SOFTWARE_VERSION }
  const { errorCode, apiKeys } = await connection.request(apiVersions, API_VERSIONS_VERSION, software, { timeoutMs })
  if (errorCode !== 0) throw kafkaFailure(errorCode, 'ApiVersions')
  return new OfferedVersions(apiKeys)
}

async function greet(connection: Connection, options: HandshakeOptions) {
  const { relayClock, replicaId, generation, heartbeatMs, timeoutMs } = options
  const answered = relayClock.ask()
  const greeting = await connection.request(hello, 0, { replicaId, generation, heartbeatMs }, { timeoutMs })
  if (greeting.errorCode !== 0) throw kafkaFailure(greeting.errorCode, 'Hello')
  answered(greeting.serverTimeMs)
  const limits: RelayLimits = {
    clusterId: greeting.clusterId,
    requestBytesMax: Math.max(LIMIT_BYTES_MIN, greeting.requestBytesMax),
    creditBytesMax: Math.max(LIMIT_BYTES_MIN, greeting.creditBytesMax),
    producerIdExpirationMs: greeting.producerIdExpirationMs,
  }
  return {
    limits,
    // A hostile or broken answer must not make a timer spin.
    heartbeatMs: Math.min(Math.max(greeting.heartbeatMs, 1_000), 120_000),
  }
}
