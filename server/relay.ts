/**
 * The relay as a server: its core, and the ports through which clients come.
 *
 * The ports open last and close first: nobody is answered by a relay that does not yet know its topics.
 */
import { type Clock, systemClock } from '../protocol/lib/clock.ts'
import { type Random, systemRandom } from '../protocol/lib/random.ts'
import { exposureWarnings } from './auth/exposure.ts'
import type { Authorizer } from './authorizer.ts'
import { DEFAULT_KAFKA_PORT, type RelayConfig, relayConfigDefaults } from './config.ts'
import type { Engine } from './engine.ts'
import { HttpListener } from './listener/http.ts'
import { KafkaListener } from './listener/kafka.ts'
import { PortTakenError } from './listener/listen.ts'
import { hostAndPort } from './listener/peer-socket.ts'
import { StaticPages } from './listener/static-pages.ts'
import { type Logger, silentLogger } from './logger.ts'
import { openRelayCore, type RelayCore } from './relay-core.ts'
import type { Files } from './storage/files.ts'
import { nodeFiles } from './storage/node-files.ts'

export interface RelayOptions {
  /**
   * What differs from the defaults. Port 0 picks a free one. Unlike `ottla serve`, a relay inside a program opens the
   * Kafka door only when `kafkaPort` is given.
   */
  config?: Partial<RelayConfig>
  /** Default: the disk. */
  files?: Files
  clock?: Clock
  random?: Random
  /** Default: silent. */
  logger?: Logger
  /** Default: everybody may do everything. */
  authorizer?: Authorizer
  /** Folder of the built page and client; none when left out. */
  webDir?: string
  /** How much is written to a partition between two points from which a start after a crash reads. Default: by their number. */
  checkpointBytes?: number
}

export interface Relay {
  readonly http: { url: string }
  readonly websocket: { url: string }
  /** Absent while the Kafka door is closed. */
  readonly kafka?: { address: string }
  /** Why the Kafka door is closed although it was wanted. */
  readonly kafkaMissing?: string
  readonly dataDir: string
  readonly engine: Engine
  /** Idempotent. */
  close(): Promise<void>
}

/** Rejects with StorageError LOCKED when another relay has the folder, PortTakenError when another program has a port. */
export async function createRelay(options: RelayOptions = {}): Promise<Relay> {
  const config: RelayConfig = { ...relayConfigDefaults, kafkaPort: 'off', ...options.config }
  const { files = nodeFiles, clock = systemClock, random = systemRandom, logger = silentLogger } = options
  const { authorizer, webDir, checkpointBytes } = options
  const advertised = { http: () => listeners.http.address, kafka: () => listeners.kafka.address }
  const core = await openRelayCore({
    ...{ config, files, clock, random, logger, authorizer, advertised, checkpointBytes },
  })
  const listeners = listenersOf(core, webDir)
  let kafkaMissing: string | undefined
  try {
    await listeners.http.listen(config.host, config.httpPort)
    kafkaMissing = await listenForKafka(listeners.kafka, config)
  } catch (error) {
    await stop(core, listeners)
    throw error
  }
  if (kafkaMissing) logger.warn('kafka port taken', { reason: kafkaMissing })
  const { isUsersFileOpen, users } = core.services.authentication
  const [firstUser] = users.stored()
  const findings = { hasUsers: firstUser !== undefined, isUsersFileOpen }
  for (const warning of exposureWarnings(config, findings)) logger.warn('exposed', { warning })
  const { host, port } = listeners.http.address
  const kafka = listeners.kafka.address
  let closing: Promise<void> | undefined
  return {
    http: { url: `http://${host}:${port}` },
    websocket: { url: `ws://${host}:${port}` },
    ...(kafka && { kafka: { address: hostAndPort(kafka) } }),
    ...(kafkaMissing && { kafkaMissing }),
    dataDir: config.dataDir,
    engine: core.services.engine,
    close: () => {
      closing ??= stop(core, listeners)
      return closing
    },
  }
}

/**
 * On a machine where a Kafka runs already, `ottla serve` without a word about ports still serves pages and WebSockets, and
 * says what it lacks: that is what the returned text is for. A port that somebody named is another matter: what was asked
 * for is had, or the relay does not start.
 */
async function listenForKafka(listener: KafkaListener, { host, kafkaPort }: RelayConfig): Promise<string | undefined> {
  if (kafkaPort === 'off') return undefined
  try {
    await listener.listen(host, kafkaPort === 'auto' ? DEFAULT_KAFKA_PORT : kafkaPort)
    return undefined
  } catch (error) {
    if (kafkaPort !== 'auto' || !(error instanceof PortTakenError)) throw error
    return `${error.message}; --kafka-port chooses another, off keeps the door closed`
  }
}

interface Listeners {
  http: HttpListener
  kafka: KafkaListener
}

function listenersOf(
  { services, webSocketDoor, kafkaDoor, documentsDoor }: RelayCore,
  webDir: string | undefined,
): Listeners {
  const { logger } = services
  const pages = webDir === undefined ? undefined : new StaticPages(webDir, logger)
  return {
    http: new HttpListener(services, { webSocketDoor, documentsDoor }, pages),
    kafka: new KafkaListener(kafkaDoor, logger),
  }
}

async function stop(core: RelayCore, { http, kafka }: Listeners): Promise<void> {
  core.closeDoors()
  await Promise.all([http.close(), kafka.close()])
  await core.close()
}
