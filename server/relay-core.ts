/**
 * A relay but for the ports it listens on: folder, engine, coordinators, hub, doors. Doors are handed sockets by whoever
 * has them, listeners in production (relay.ts), a simulated network in simulations.
 *
 * Start: lock the folder, then open the logs; nobody is answered by a relay that does not yet know its topics.
 * Stop: tell clients to come back later, finish what is being written, close the logs cleanly, let go of the folder.
 */
import { ErrorCode } from '../protocol/errors.ts'
import type { Clock } from '../protocol/lib/clock.ts'
import type { Random } from '../protocol/lib/random.ts'
import { AclAuthorizer } from './acl/acl-authorizer.ts'
import { AclLists } from './acl/acl-lists.ts'
import { Authentication } from './auth/authentication.ts'
import { type Authorizer, allowAll, type Operation, type Principal } from './authorizer.ts'
import { BackupPoints } from './backup/backup-points.ts'
import type { Seat } from './channels/channel.ts'
import { Channels } from './channels/channels.ts'
import { CompactionTask } from './compaction-task.ts'
import { ConfigError, type RelayConfig } from './config.ts'
import { ConnectionLimits } from './connection-limits.ts'
import type { TopicPartition } from './coordinator/offsets.ts'
import { type GroupCoordinator, openGroupCoordinator } from './coordinator/runtime.ts'
import {
  openTransactionCoordinator,
  type TransactionCoordinator,
} from './coordinator/transactions/transaction-coordinator.ts'
import { Documents } from './documents/documents.ts'
import { DocumentsDoor } from './documents/door/documents-door.ts'
import { claimFormat } from './engine/data-format.ts'
import { openEmbeddedEngine } from './engine/embedded.ts'
import type { Engine, Topic } from './engine.ts'
import { Hub } from './fan-out/hub.ts'
import { CompactedKeys } from './handlers/compacted-keys.ts'
import { LimitedLog } from './limited-log.ts'
import { KafkaDoor } from './listener/kafka-door.ts'
import { WebSocketDoor } from './listener/websocket.ts'
import type { CommitActivity } from './log/compaction/pace.ts'
import type { Logger } from './logger.ts'
import { inNextTurn } from './next-turn.ts'
import { NameSelector } from './pattern/name-selector.ts'
import { ProgressWatches } from './progress-watches.ts'
import { ReadBuffers } from './read-buffers.ts'
import { ReplicaConnections } from './replica-connections.ts'
import { RetentionTask } from './retention-task.ts'
import type { Advertised, Services } from './services.ts'
import { ShareSessions } from './share-sessions.ts'
import { DiskSpace } from './storage/disk-space.ts'
import type { Files } from './storage/files.ts'

export interface RelayCoreOptions {
  config: RelayConfig
  files: Files
  clock: Clock
  random: Random
  logger: Logger
  /** Default: the relay's own lists, where `access-control` says so, else everybody may everything. */
  authorizer?: Authorizer
  /** Where clients reach the relay again; asked when one wants to know. */
  advertised: Advertised
  /** Written to a log between two points from which its recovery may start. Default 32 MiB. */
  checkpointBytes?: number
}

export interface RelayCore {
  readonly services: Services
  readonly webSocketDoor: WebSocketDoor
  readonly kafkaDoor: KafkaDoor
  readonly documentsDoor: DocumentsDoor
  /** Ends every connection; those that come later are not looked for. */
  closeDoors(): void
  /** Idempotent. */
  close(): Promise<void>
}

/** Rejects with StorageError: LOCKED when another relay has the folder, NEWER_FORMAT when a newer one wrote it. */
export async function openRelayCore(options: RelayCoreOptions): Promise<RelayCore> {
  const { config, files } = options
  await files.makeDir(config.dataDir)
  const unlock = await files.lock(config.dataDir)
  try {
    await claimFormat(files, config.dataDir)
    const commits: CommitActivity = { running: 0, begun: 0 }
    const space = await watchedSpace(options)
    let engine: Engine | undefined
    try {
      engine = await openEmbeddedEngine({ ...options, commits, space, dataDir: config.dataDir })
      const noise = new LimitedLog(options.logger, options.clock)
      const authentication = await Authentication.open({ ...options, facts: engine.facts, noise })
      const access = accessControl(options, engine)
      const coordinators = await openCoordinators(options, engine)
      return assemble({ ...options, commits, space, noise, authentication, ...access }, engine, coordinators, unlock)
    } catch (error) {
      await space.stop()
      await engine?.close()
      throw error
    }
  } catch (error) {
    await unlock()
    throw error
  }
}

function accessControl(
  { config, authorizer }: RelayCoreOptions,
  { facts }: Engine,
): Pick<Begun, 'authorizer' | 'acls'> {
  const { accessControl, superUsers, allowEveryoneIfNoAclFound: allowsWhatNoLineSpeaksOf } = config
  if (accessControl === 'off') return { authorizer: authorizer ?? allowAll, acls: undefined }
  if (authorizer) throw new ConfigError('access-control', accessControl, 'off beside an authorizer of your own')
  const acls = new AclLists(facts)
  return { acls, authorizer: new AclAuthorizer({ lists: acls, superUsers, allowsWhatNoLineSpeaksOf }) }
}

async function watchedSpace({ files, clock, config, logger }: RelayCoreOptions): Promise<DiskSpace> {
  const { dataDir: dir, diskLowBytes: lowBytes, diskLowPercent: lowPercent } = config
  const changed = ({ level, status }: DiskSpace) => {
    if (level === 'free') logger.info('disk has room again', status)
    else logger.warn('disk almost full, producers are refused', status)
  }
  const space = new DiskSpace({ files, dir, clock, lowBytes, lowPercent, changed })
  await space.start()
  return space
}

/** What was begun while it was allowed ends when it is not any more; requests are decided one by one anyway. */
function withdraw({ authorizer, engine, hub, watches, channels }: Services): void {
  const mayNot = (who: Principal, operation: Operation, topicId: string): boolean => {
    const name = engine.topicById(topicId)?.name
    return name !== undefined && !authorizer.allows(who, operation, { type: 'topic', name })
  }
  const mayNotRead = (seat: Pick<Seat, 'principal'>, topicId: string): boolean => {
    const who = seat.principal?.()
    return who !== undefined && mayNot(who, 'read', topicId)
  }
  hub.endWhere(mayNotRead, ErrorCode.TOPIC_AUTHORIZATION_FAILED)
  channels.endWhere(mayNotRead, ErrorCode.TOPIC_AUTHORIZATION_FAILED)
  watches.endWhere((watch) => {
    const who = watch.peer.principal()
    const group = { type: 'group', name: watch.groupId } as const
    return mayNot(who, 'describe', watch.topicId) || !authorizer.allows(who, 'describe', group)
  }, ErrorCode.GROUP_AUTHORIZATION_FAILED)
}

interface Coordinators {
  groups: GroupCoordinator
  transactions: TransactionCoordinator
}

async function openCoordinators(options: RelayCoreOptions, engine: Engine): Promise<Coordinators> {
  const { dataDir } = options.config
  const logOf = ({ topicId, partition }: TopicPartition) => engine.topicById(topicId)?.partitions[partition]
  const groups = await openGroupCoordinator({ ...options, topics: engine, logOf, dir: `${dataDir}/groups` })
  try {
    const dir = `${dataDir}/transactions`
    return { groups, transactions: await openTransactionCoordinator({ ...options, engine, groups, dir }) }
  } catch (error) {
    await groups.close()
    throw error
  }
}

interface Begun {
  commits: CommitActivity
  space: DiskSpace
  noise: LimitedLog
  authentication: Authentication
  authorizer: Authorizer
  acls: AclLists | undefined
}

function assemble(
  {
    config,
    files,
    clock,
    random,
    logger,
    authorizer,
    advertised,
    commits,
    space,
    noise,
    authentication,
    acls,
  }: RelayCoreOptions & Begun,
  engine: Engine,
  { groups, transactions }: Coordinators,
  unlock: () => Promise<void>,
): RelayCore {
  const hub = new Hub(engine, clock)
  const backups = new BackupPoints({
    ...{ files, dataDir: config.dataDir, clock, random, logger },
    hold: () => [
      ...engine.hold(),
      { ...groups.hold(), path: 'groups' },
      { ...transactions.hold(), path: 'transactions' },
    ],
  })
  const watches = new ProgressWatches(groups.receipts)
  const channels = new Channels(clock, random)
  const documents = new Documents({ engine, config, clock, logger })
  const isSpared = (topic: Topic) => documents.holds(topic)
  const compaction = new CompactionTask({ engine, config, clock, random, logger, commits, space, isSpared })
  const inTurn = (run: () => void) => inNextTurn(clock, run)
  const services: Services = {
    ...{ config, engine, hub, groups, transactions, clock, logger, noise, advertised },
    ...{ authentication, authorizer, acls },
    limits: new ConnectionLimits(config, noise),
    replicas: new ReplicaConnections(),
    watches,
    channels,
    documents,
    shareSessions: new ShareSessions(groups.deliveries, config.groupShareMaxShareSessions),
    backups,
    keys: new CompactedKeys(inTurn),
    selector: new NameSelector(inTurn),
    readBuffers: new ReadBuffers(),
    ...{ compaction, space },
  }
  const webSocketDoor = new WebSocketDoor(services)
  const kafkaDoor = new KafkaDoor(services)
  const documentsDoor = new DocumentsDoor(services)
  const stopForgetting = engine.onTopicDeleted((topic) => {
    const { id } = topic
    documents.onTopicDeleted(topic)
    groups.forgetTopic(id)
    watches.onTopicDeleted(id)
    channels.onTopicDeleted(id, ErrorCode.UNKNOWN_TOPIC_ID)
  })
  const stopWithdrawing = acls?.onChanged.on(() => {
    withdraw(services)
    documentsDoor.withdraw()
  })
  const retention = new RetentionTask({
    ...{ engine, everyMs: config.retentionCheckMs, clock, logger },
    deletableUpTo: (...range) => documents.deletableUpTo(...range),
  })
  backups.start()
  const closeDoors = () => {
    webSocketDoor.closeAll()
    kafkaDoor.closeAll()
    documentsDoor.closeAll()
  }
  const close = async () => {
    retention.stop()
    backups.stop()
    closeDoors()
    noise.close()
    stopForgetting()
    stopWithdrawing?.()
    watches.close()
    try {
      await documents.close()
      await space.stop()
      await compaction.stop()
      await transactions.close()
      await groups.close()
      await engine.close()
    } finally {
      await unlock()
    }
  }
  let closing: Promise<void> | undefined
  return {
    ...{ services, webSocketDoor, kafkaDoor, documentsDoor, closeDoors },
    close: () => {
      closing ??= close()
      return closing
    },
  }
}
