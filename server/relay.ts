/**
 * The relay: engine, hub and doors put together, started and stopped in order.
 *
 * Start: lock the folder, open the logs, then listen; nobody is answered by a relay that does not yet know its topics.
 * Stop: tell clients to come back later, finish what is being written, close the logs cleanly, let go of the folder.
 */
import { type Clock, systemClock } from '../protocol/lib/clock.ts'
import { type Random, systemRandom } from '../protocol/lib/random.ts'
import { type Authorizer, allowAll } from './authorizer.ts'
import { type RelayConfig, relayConfigDefaults } from './config.ts'
import { type GroupCoordinator, openGroupCoordinator } from './coordinator/runtime.ts'
import { openEmbeddedEngine } from './engine/embedded.ts'
import type { Engine } from './engine.ts'
import { Hub } from './fan-out/hub.ts'
import { HttpListener } from './listener/http.ts'
import { KafkaListener } from './listener/kafka.ts'
import { StaticPages } from './listener/static-pages.ts'
import { WebSocketDoor } from './listener/websocket.ts'
import { type Logger, silentLogger } from './logger.ts'
import { ReplicaConnections } from './replica-connections.ts'
import { RetentionTask } from './retention-task.ts'
import type { Services } from './services.ts'
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
  const { dataDir } = config
  await files.makeDir(dataDir)
  const unlock = await files.lock(dataDir)
  try {
    const engine = await openEmbeddedEngine({ files, dataDir, config, clock, random, logger })
    let groups: GroupCoordinator | undefined
    try {
      groups = await openGroupCoordinator({
        ...{ files, config, clock, random, logger, topics: engine },
        dir: `${dataDir}/groups`,
      })
      const relay = await openDoors(
        { engine, groups, config, clock, logger, authorizer: options.authorizer ?? allowAll },
        options.webDir,
      )
      return { ...relay, engine, dataDir, close: once(() => relay.close().finally(unlock)) }
    } catch (error) {
      await groups?.close()
      await engine.close()
      throw error
    }
  } catch (error) {
    await unlock()
    throw error
  }
}

interface Parts {
  engine: Engine
  groups: GroupCoordinator
  config: RelayConfig
  clock: Clock
  logger: Logger
  authorizer: Authorizer
}

async function openDoors(parts: Parts, webDir: string | undefined) {
  const { engine, groups, config, clock, logger } = parts
  const services: Services = {
    ...parts,
    hub: new Hub(engine, clock),
    replicas: new ReplicaConnections(),
    httpAddress: () => http.address,
  }
  const door = new WebSocketDoor(services)
  const http = new HttpListener(services, door, webDir === undefined ? undefined : new StaticPages(webDir, logger))
  try {
    await http.listen(config.host, config.httpPort)
  } catch (error) {
    door.closeAll()
    throw error
  }
  const kafka = config.kafkaPort < 0 ? undefined : new KafkaListener(services)
  try {
    await kafka?.listen(config.host, config.kafkaPort)
  } catch (error) {
    door.closeAll()
    await http.close()
    throw error
  }
  const stopForgetting = engine.onTopicDeleted(({ id }) => groups.forgetTopic(id))
  const retention = new RetentionTask(engine, config.retentionCheckMs, clock, logger)
  const { host, port } = http.address
  return {
    http: { url: `http://${host}:${port}` },
    websocket: { url: `ws://${host}:${port}` },
    kafka: kafka && { address: `${kafka.address.host}:${kafka.address.port}` },
    async close() {
      retention.stop()
      door.closeAll()
      await Promise.all([http.close(), kafka?.close()])
      stopForgetting()
      await groups.close()
      await engine.close()
    },
  }
}

function once(close: () => Promise<void>): () => Promise<void> {
  let closing: Promise<void> | undefined
  return () => {
    closing ??= close()
    return closing
  }
}
