/**
 * Puts a client together in this context: session, outbox and replica beside the code that uses them. In browsers
 * worker/ offers the same `connect`, with those three in a worker that all tabs share.
 */
import { standardCodecs } from '../protocol/codecs/standard.ts'
import { type Clock, systemClock } from '../protocol/lib/clock.ts'
import { type Random, systemRandom } from '../protocol/lib/random.ts'
import { randomUuid } from '../protocol/lib/uuid.ts'
import { abortError } from './abort-error.ts'
import type { BackoffOptions } from './backoff.ts'
import { browserWakeUps } from './browser-wake-ups.ts'
import { Lanes } from './consumer/lanes.ts'
import type { Core, Status } from './core.ts'
import { OttlaError } from './errors.ts'
import { generationCounter } from './generation.ts'
import { openSession, type ReplicaIdentity } from './live-session.ts'
import type { LocalCore } from './local-core-options.ts'
import { Ottla } from './ottla.ts'
import type { Session } from './session.ts'
import type { Transport } from './transport/transport.ts'
import { type WebSocketConstructor, webSocketTransport } from './transport/websocket.ts'
import { findWebSocket } from './transport/ws-package.ts'
import type { WakeUps } from './wake-ups.ts'

/** What a session needs to know; plain data but for the last four. */
export interface ConnectionOptions {
  /** Named to the relay in every request, for its logs. */
  clientId?: string
  /** Longest silence wanted on the connection; the relay decides. Default 10 s. */
  heartbeatMs?: number
  /** Default 15 s. */
  requestTimeoutMs?: number
  /** Connection and handshake together. Default 15 s. */
  connectTimeoutMs?: number
  backoff?: BackoffOptions
  /** Default: the platform's; on Node 20 that of the package `ws`. */
  webSocket?: WebSocketConstructor
  /** Instead of a WebSocket. */
  transport?: Transport
  /** Default: the page's or worker's own events. */
  wakeUps?: WakeUps
  clock?: Clock
  random?: Random
}

export interface ConnectOptions extends ConnectionOptions {
  /** Name of a database on this device for replica and outbox. Without one everything is in memory. */
  replica?: string
  /**
   * Without a replica: return at once, and go on trying in the background, instead of waiting for the first connection.
   * Default false. With a replica `connect` never waits for the network.
   */
  lazy?: boolean
  /** Ends waiting for the first connection; has no effect later. */
  signal?: AbortSignal
}

/**
 * Connects to a relay: `ws://host:port` or `wss://...`. Rejects INVALID_ARGUMENT, NO_WEBSOCKET or ABORTED; without a
 * replica (and not `lazy`) also when the first attempt fails, DISCONNECTED, REFUSED, UNSUPPORTED or NEEDS_AUTH.
 */
export async function connect(url: string, options: ConnectOptions = {}): Promise<Ottla> {
  const { clock = systemClock, random = systemRandom, replica, lazy = false, signal } = options
  const open = await sessionOpener(url, options)
  const core = await openCore(open, options)
  const ottla = new Ottla({
    core,
    clock,
    random,
    codecs: standardCodecs(),
    hasReplica: replica !== undefined,
    openLanes: () => new Lanes(core.session, () => openAnonymousSession(open, clock, random)),
  })
  if (replica !== undefined || lazy) return ottla
  try {
    await firstConnection(core, signal)
  } catch (error) {
    await ottla.close()
    throw error
  }
  return ottla
}

export type SessionOpener = (identity: ReplicaIdentity) => Session

/** Rejects NO_WEBSOCKET, and INVALID_ARGUMENT for an address that is none. */
export async function sessionOpener(url: string, options: ConnectionOptions): Promise<SessionOpener> {
  checkUrl(url)
  const { clock = systemClock, random = systemRandom, wakeUps = browserWakeUps() } = options
  const transport = options.transport ?? webSocketTransport(await findWebSocket(options.webSocket))
  const { clientId = null, heartbeatMs, requestTimeoutMs, connectTimeoutMs, backoff } = options
  const fixed = { heartbeatMs, requestTimeoutMs, connectTimeoutMs, backoff }
  return (identity) => openSession({ url, transport, clock, random, wakeUps, clientId, identity, ...fixed })
}

/** A core in this context: what a page has without a worker, and what a worker runs. */
export async function openCore(
  openSession: SessionOpener,
  options: Pick<ConnectOptions, 'replica' | 'clock' | 'random'>,
): Promise<LocalCore> {
  const { clock = systemClock, random = systemRandom, replica = null } = options
  // Loaded only where a core runs: a page whose core lives in a worker never downloads this half.
  const { openLocalCore } = await import('./local-core.ts')
  return openLocalCore({ replica, clock, random, openSession })
}

/** A session that keeps nothing: for live readers, here or in a page whose core lives in a worker. */
export function openAnonymousSession(open: SessionOpener, clock: Clock, random: Random): Session {
  return open({ replicaId: randomUuid(random), nextGeneration: generationCounter(clock) })
}

function checkUrl(url: string): void {
  const protocol = URL.canParse(url) ? new URL(url).protocol : ''
  if (protocol === 'ws:' || protocol === 'wss:') return
  throw new OttlaError('INVALID_ARGUMENT', {
    message: `"${url}" is not the address of a relay`,
    hint: 'it begins with ws:// or wss://',
  })
}

/** Resolves when live; rejects with the reason when the first attempt has failed. */
function firstConnection(core: Core, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = (settle: () => void) => {
      unlisten()
      signal?.removeEventListener('abort', look)
      settle()
    }
    const look = () => {
      const failure = signal?.aborted ? abortError('connecting', signal) : failureOf(core.status())
      if (failure) stop(() => reject(failure))
      else if (core.status().connection.phase === 'live') stop(resolve)
    }
    const unlisten = core.onStatus(look)
    signal?.addEventListener('abort', look)
    look()
  })
}

function failureOf({ connection }: Status): OttlaError | undefined {
  if (connection.phase === 'connecting' || connection.phase === 'live') return undefined
  return connection.error
    ? OttlaError.fromInfo(connection.error)
    : new OttlaError('CLOSED', { message: 'closed while connecting' })
}
