/**
 * What connect.ts hands to open-local-core.ts: the outbox and the replica open their store first, since the replica's id
 * lives there, and then have a session opened under that id.
 */
import type { Clock } from '../protocol/lib/clock.ts'
import type { Random } from '../protocol/lib/random.ts'
import type { BrokerSessions } from './broker-sessions.ts'
import type { Core } from './core.ts'
import type { ReplicaIdentity } from './live-session.ts'
import type { OutboxOptions } from './outbox/outbox.ts'
import type { Encryption } from './replica/sealed/encryption.ts'
import type { ReplicaStore } from './replica/store.ts'
import type { Session } from './session.ts'
import type { Wallet } from './sign-in/wallet.ts'
import type { TableStore } from './table/store.ts'

export interface LocalCoreOptions {
  /** Name of the replica's database; null keeps everything in memory. */
  replica: string | null
  clock: Clock
  random: Random
  openSession(identity: ReplicaIdentity): Session
  /** Connections to single brokers, where there may be several. The core closes them. */
  brokers?: BrokerSessions
  /** What the sessions sign in with. */
  wallet?: Wallet
  /** Default: IndexedDB for a replica, else memory. The core closes it. */
  store?: ReplicaStore
  /** Default: beside the replica in IndexedDB, else memory. The core closes it. */
  tableStore?: TableStore
  /** Only in this life of the replica, else LOGGED_OUT; default: whichever it is in. */
  life?: number | null
  /** How the replica's database is encrypted; default: not at all. */
  encryption?: Encryption
  /** Limits of the outbox; see OutboxOptions for the defaults. */
  outbox?: Pick<OutboxOptions, 'sizeBytesMax' | 'recordsMax' | 'producerExpiryMs' | 'missingTopicGraceMs'>
}

/** A Core in this context, with its session for live readers beside it. Closing it closes the session. */
export interface LocalCore extends Core {
  readonly session: Session
}

export type OpenLocalCore = (options: LocalCoreOptions) => Promise<LocalCore>
