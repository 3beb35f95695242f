/** What every handler and door of one relay shares. */
import type { Clock } from '../protocol/lib/clock.ts'
import type { AclLists } from './acl/acl-lists.ts'
import type { Authentication } from './auth/authentication.ts'
import type { Authorizer } from './authorizer.ts'
import type { BackupPoints } from './backup/backup-points.ts'
import type { Channels } from './channels/channels.ts'
import type { CompactionTask } from './compaction-task.ts'
import type { RelayConfig } from './config.ts'
import type { ConnectionLimits } from './connection-limits.ts'
import type { GroupCoordinator } from './coordinator/runtime.ts'
import type { TransactionCoordinator } from './coordinator/transactions/transaction-coordinator.ts'
import type { Documents } from './documents/documents.ts'
import type { Engine } from './engine.ts'
import type { Hub } from './fan-out/hub.ts'
import type { CompactedKeys } from './handlers/compacted-keys.ts'
import type { LimitedLog } from './limited-log.ts'
import type { Address } from './listener/peer-socket.ts'
import type { Logger } from './logger.ts'
import type { NameSelector } from './pattern/name-selector.ts'
import type { ProgressWatches } from './progress-watches.ts'
import type { ReadBuffers } from './read-buffers.ts'
import type { ReplicaConnections } from './replica-connections.ts'
import type { ShareSessions } from './share-sessions.ts'
import type { DiskSpace } from './storage/disk-space.ts'

export interface Services {
  readonly config: RelayConfig
  readonly engine: Engine
  readonly hub: Hub
  readonly groups: GroupCoordinator
  readonly transactions: TransactionCoordinator
  readonly clock: Clock
  readonly logger: Logger
  /** For what strangers can cause at will. */
  readonly noise: LimitedLog
  readonly limits: ConnectionLimits
  readonly authentication: Authentication
  readonly authorizer: Authorizer
  /** Where the relay decides by lists of its own. */
  readonly acls: AclLists | undefined
  readonly replicas: ReplicaConnections
  readonly watches: ProgressWatches
  readonly channels: Channels
  readonly documents: Documents
  readonly shareSessions: ShareSessions
  readonly readBuffers: ReadBuffers
  readonly backups: BackupPoints
  readonly advertised: Advertised
  readonly keys: CompactedKeys
  readonly compaction: CompactionTask
  readonly space: DiskSpace
  /** For regular expressions that clients send. */
  readonly selector: NameSelector
}

/** Where the doors are, as far as the relay itself knows. */
export interface Advertised {
  http(): Address
  /** Undefined while that door is closed. */
  kafka(): Address | undefined
}

/** A single relay is broker 1 of a cluster of one. */
export const BROKER_ID = 1
