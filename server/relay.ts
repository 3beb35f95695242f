/**
 * The relay as a server: its core, and the ports through which clients come.
 *
 * The ports open last and close first: nobody is answered by a relay that does not yet know its topics.
 */
import { type Clock, systemClock } from '../protocol/lib/clock.ts'
import { type Random, systemRandom } from '../protocol/lib/random.ts'
import { type Authorizer, allowAll } from './authorizer.ts'
import { type RelayConfig, relayConfigDefaults } from './config.ts'
import type { Engine } from './engine.ts'
import { HttpListener } from './listener/http.ts'
import { KafkaListener } from './listener/kafka.ts'
import { StaticPages } from './listener/static-pages.ts'
import { type Logger, silentLogger } from './logger.ts'
import { openRelayCore, type RelayCore } from './relay-core.ts'
import type { Files } from './storage/files.ts'
import { nodeFiles } from './storage/node-files.ts'

export interface RelayOptions {
  /** What differs from the defaults. Port 0 picks a free one. */
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
}

export interface Relay {
  readonly http: { url: string }
  readonly websocket: { url: string }
  /** Absent while the Kafka door is off. */
  readonly kafka?: { address: string }
  readonly dataDir: string
  readonly engine: Engine
  /** Idempotent. */
  close(): Promise<void>
}

/** Rejects with StorageError LOCKED when another relay has the folder, EADDRINUSE when another program has the port. */
export async function createRelay(options: RelayOptions = {}): Promise<Relay> {
  const config: RelayConfig = { ...relayConfigDefaults, ...options.config }
  const { files = nodeFiles, clock = systemClock, random = systemRandom, logger = silentLogger } = options
  const { authorizer = allowAll, webDir } = options
  const advertised = { http: () => listeners.http.address, kafka: () => listeners.kafka.address }
  const core = await openRelayCore({ config, files, clock, random, logger, authorizer, advertised })
  const listeners = listenersOf(core, webDir)
  try {
    await listeners.http.listen(config.host, config.httpPort)
    if (config.kafkaPort >= 0) await listeners.kafka.listen(config.host, config.kafkaPort)
  } catch (error) {
    await stop(core, listeners)
    throw error
  }
  const { host, port } = listeners.http.address
  const kafka = config.kafkaPort < 0 ? undefined : listeners.kafka.address
  let closing: Promise<void> | undefined
  return {
    http: { url: `http://${host}:${port}` },
    websocket: { url: `ws://${host}:${port}` },
    ...(kafka && { kafka: { address: `${kafka.host}:${kafka.port}` } }),
    dataDir: config.dataDir,
    engine: core.services.engine,
    close: () => {
      closing ??= stop(core, listeners)
      return closing
    },
  }
}

interface Listeners {
  http: HttpListener
  kafka: KafkaListener
}

function listenersOf({ services, webSocketDoor, kafkaDoor }: RelayCore, webDir: string | undefined): Listeners {
  const { logger } = services
  const pages = webDir === undefined ? undefined : new StaticPages(webDir, logger)
  return { http: new HttpListener(services, webSocketDoor, pages), kafka: new KafkaListener(kafkaDoor, logger) }
}

async function stop(core: RelayCore, { http, kafka }: Listeners): Promise<void> {
  core.closeDoors()
  await Promise.all([http.close(), kafka.close()])
  await core.close()
}
