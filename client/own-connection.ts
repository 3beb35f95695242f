/**
 * A connection of this context's own and what stands on it: session, core, live readers. A page whose core lives in a
 * worker never loads this half, unless it reads live.
 */
import { type Clock, systemClock } from '../protocol/lib/clock.ts'
import { type Random, systemRandom } from '../protocol/lib/random.ts'
import { randomUuid } from '../protocol/lib/uuid.ts'
import type { BackoffOptions } from './backoff.ts'
import { BrokerSessions } from './broker-sessions.ts'
import { browserWakeUps } from './browser-wake-ups.ts'
import { Lanes } from './consumer/lanes.ts'
import { generationCounter } from './generation.ts'
import { openSession, type ReplicaIdentity } from './live-session.ts'
import type { LocalCore } from './local-core-options.ts'
import { openLocalCore } from './open-local-core.ts'
import { checkRelayUrl } from './relay-url.ts'
import type { Encryption } from './replica/sealed/encryption.ts'
import type { Session } from './session.ts'
import type { CredentialsSource } from './sign-in/credentials.ts'
import { signingIn } from './sign-in/signing-in.ts'
import { openWallet, type Wallet } from './sign-in/wallet.ts'
import type { Transport } from './transport/transport.ts'
import { type WebSocketConstructor, webSocketTransport } from './transport/websocket.ts'
import { findWebSocket } from './transport/ws-package.ts'
import type { WakeUps } from './wake-ups.ts'

/** What a session needs to know; plain data but for the last four, and `auth` where it is a function. */
export interface ConnectionOptions {
  /** Who signs in, where the relay asks for it; `reauthenticate` renews it. */
  auth?: CredentialsSource
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

export interface SessionOpener {
  readonly wallet: Wallet
  /** `heartbeatMs` instead of the one in the options. */
  (identity: ReplicaIdentity, heartbeatMs?: number): Session
  /** At another address, under an identity of its own; undefined where there can be no other. */
  elsewhere?: (url: string) => Session
}

/** Rejects NO_WEBSOCKET, and INVALID_ARGUMENT for an address or credentials that are none. */
export async function sessionOpener(
  url: string,
  options: ConnectionOptions,
  wallet = openWallet(options.auth),
): Promise<SessionOpener> {
  if (!options.transport) checkRelayUrl(url)
  const { clock = systemClock, random = systemRandom, wakeUps = browserWakeUps() } = options
  const bare = options.transport ?? webSocketTransport(await findWebSocket(options.webSocket))
  const transport = signingIn(bare, { wallet, clock, random })
  const { clientId = null, heartbeatMs, requestTimeoutMs, connectTimeoutMs, backoff } = options
  const fixed = { requestTimeoutMs, connectTimeoutMs, backoff }
  const openAt = (at: string, identity: ReplicaIdentity, ownHeartbeatMs = heartbeatMs) => {
    const parts = { transport, clock, random, wakeUps, clientId, identity }
    const session = openSession({ url: at, ...parts, heartbeatMs: ownHeartbeatMs, ...fixed })
    const unlisten = wallet.onRenewed(() => session.reauthenticate())
    session.onState(({ phase }) => {
      if (phase === 'closed') unlisten()
    })
    return session
  }
  const open: SessionOpener = Object.assign(
    (identity: ReplicaIdentity, ownHeartbeatMs?: number) => openAt(url, identity, ownHeartbeatMs),
    { wallet },
  )
  if (transport.mayBeKafka) open.elsewhere = (at) => openAt(at, anonymous(clock, random))
  return open
}

/** A core in this context: what a page has without a worker, and what a worker runs. */
export function openCore(
  openSession: SessionOpener,
  options: Pick<ConnectionOptions, 'clock' | 'random'> & {
    replica?: string
    life?: number | null
    encryption?: Encryption
  },
): Promise<LocalCore> {
  const { clock = systemClock, random = systemRandom, replica = null, life, encryption } = options
  const brokers = openSession.elsewhere && new BrokerSessions(openSession.elsewhere)
  return openLocalCore({ replica, life, encryption, clock, random, openSession, brokers, wallet: openSession.wallet })
}

/** For live readers: the core's own connection first, then others that keep nothing. */
export function lanesBeside(core: LocalCore, open: SessionOpener, clock: Clock, random: Random): Lanes {
  return new Lanes(core.session, (heartbeatMs) => openAnonymousSession(open, clock, random, heartbeatMs))
}

/** A session that keeps nothing: for live readers, here or in a page whose core lives in a worker. */
export function openAnonymousSession(open: SessionOpener, clock: Clock, random: Random, heartbeatMs?: number): Session {
  return open(anonymous(clock, random), heartbeatMs)
}

function anonymous(clock: Clock, random: Random): ReplicaIdentity {
  return { replicaId: randomUuid(random), nextGeneration: generationCounter(clock) }
}
