/**
 * What page and worker say to each other. Types and names only.
 *
 * Two kinds of talk share one line (a MessagePort, or a BroadcastChannel of their own):
 *  - calls: comlink, page to host, few and coarse, each answered by a Reply (comlink would strip an error of its code);
 *  - notes: plain messages, marked by `ottla`, which comlink leaves alone.
 *
 * Words: a *seat* is a worker that may lead; the *leader* is the seat that holds the replica's lock and runs its Core;
 * the *host* is what a leader offers to tabs. The *lobby* is the BroadcastChannel where leaders are found.
 */
import type { Advanced, Core, Outbox, Settled, Status } from '../client/core.ts'
import type { ErrorInfo } from '../client/errors.ts'
import type { TableCalls, TableNews } from '../client/table/seam.ts'

/** Raised when notes or calls change incompatibly; page and host of different versions refuse each other. */
export const CONTRACT_VERSION = 7

/** What a host needs to open its Core; plain data. */
export interface CoreConfig {
  url: string
  replica: string
  /** Options of `connect` that can be cloned; every tab of a replica should give the same. */
  options: Readonly<Record<string, unknown>>
  /** The life of the replica that the page has seen, so that it is refused after its user was logged out; null: none yet. */
  life?: number | null
}

export interface LeaderInfo {
  contract: number
  /** This host's life. The host holds the lock of that name as long as it lives. */
  instance: string
  /** Which seat leads, so that a page knows its own. */
  seatId: string
  /** As the lock manager calls the leader's context; null where there are no Web Locks. */
  clientId: string | null
  /** Greater for a later leader (wall-clock ms at which it began to lead). */
  generation: number
  url: string
  /** Of the replica, as its Core says. */
  life: number
}

/** Page to seat. On a seat's own port `instance` is null; in the lobby it names the leader that is meant. */
export interface JoinNote {
  ottla: 'join'
  contract: number
  tabId: string
  instance: string | null
  /**
   * Names the channel of this join, in the lobby. A name of its own for each: the answer to an earlier join that was
   * given up must not reach the later one, whose host would then cut the line that its page had taken.
   */
  lineId: string
  config: CoreConfig
}

export type PageNote =
  | JoinNote
  /** To a seat that the page waits at: the life that it has seen meanwhile, at another leader. */
  | { ottla: 'life'; life: number }
  | { ottla: 'ack'; sequence: number }
  | { ottla: 'leave' }

/** News for one tab, coalesced. A host sends the next only after this one's ack. */
export interface EventsNote {
  ottla: 'events'
  sequence: number
  status?: Status
  advanced?: Advanced[]
  settled?: Settled[]
  /** Some `settled` were left out because the tab was too far behind: ask `outcomes`. */
  settledMissed?: true
  /** Each as it was told; where there were too many, one that says so. */
  tables?: TableNews[]
}

export type HostNote =
  /** The answer to each join: the seat is alive, whether it leads or not. */
  | { ottla: 'seated'; seatId: string }
  | { ottla: 'hello'; leader: LeaderInfo; status: Status }
  | EventsNote
  | { ottla: 'refused'; error: ErrorInfo }
  /** The host steps down; the line is dead. */
  | { ottla: 'bye' }

export type LobbyNote = { ottla: 'who' } | { ottla: 'leading'; leader: LeaderInfo } | JoinNote

/** A page to its dedicated worker: the port that becomes their line. */
export interface SeatPortNote {
  ottla: 'port'
  port: MessagePort
}

export type Reply<T> = { ok: true; value: T } | { ok: false; error: ErrorInfo }

/** The Core's calls, one level deep. */
type RemoteMethods = Pick<
  Core,
  | 'topic'
  | 'enqueue'
  | 'enqueueTransaction'
  | 'withdraw'
  | 'outcomes'
  | 'progress'
  | 'channel'
  | 'keptDocument'
  | 'openDocument'
  | 'replicate'
  | 'stopReplicating'
  | 'pause'
  | 'readReplica'
  | 'request'
  | 'reauthenticate'
  | 'changeSecret'
  | 'logout'
  | 'wake'
> & {
  outboxList: Outbox['list']
  outboxRetry: Outbox['retry']
  outboxDiscard: Outbox['discard']
  outboxExport: Outbox['export']
  tableOpen: TableCalls['open']
  tableRead: TableCalls['read']
  tableCount: TableCalls['count']
  /** Proves that the host's thread turns. */
  ping(): void
}

export type HostMethod = keyof RemoteMethods
export type HostArgs<M extends HostMethod> = Parameters<RemoteMethods[M]>
export type HostResult<M extends HostMethod> = Awaited<ReturnType<RemoteMethods[M]>>
export type HostCalls = {
  [M in HostMethod]: (...args: HostArgs<M>) => Promise<Reply<HostResult<M>>>
}

/** Names of locks and channels. The replica's name is the scope: one database, one leader, whatever its relay. */
export const lockNames = {
  /** Held by the leader. */
  core: (replica: string) => `ottla/core/${replica}`,
  /** Held by one host for its life; pages wait for it. */
  instance: (instance: string) => `ottla/instance/${instance}`,
  /** Held by a tab while it is attached; hosts wait for it. */
  tab: (tabId: string) => `ottla/tab/${tabId}`,
  /** Held while a page deposes a hung leader, so that no two do. */
  depose: (replica: string) => `ottla/depose/${replica}`,
}

export const channelNames = {
  lobby: (replica: string) => `ottla/lobby/${replica}`,
  line: (lineId: string) => `ottla/line/${lineId}`,
}

/** A note of ours, or undefined for comlink's messages and strangers'. The caller's type is what that line carries. */
export function asNote<N extends { ottla: string }>(data: unknown): N | undefined {
  const isNote = typeof data === 'object' && data !== null && typeof (data as { ottla?: unknown }).ottla === 'string'
  return isNote ? (data as N) : undefined
}
