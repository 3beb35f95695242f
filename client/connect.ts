/**
 * Puts a client together in this context: session, outbox and replica beside the code that uses them. In browsers
 * worker/ offers the same `connect`, with those three in a worker that all tabs share.
 */
import { standardCodecs } from '../protocol/codecs/standard.ts'
import { systemClock } from '../protocol/lib/clock.ts'
import { systemRandom } from '../protocol/lib/random.ts'
import { abortError } from './abort-error.ts'
import type { Core, Status } from './core.ts'
import { OttlaError } from './errors.ts'
import { Ottla } from './ottla.ts'
import type { ConnectionOptions } from './own-connection.ts'
import { checkRelayUrl } from './relay-url.ts'

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
  if (!options.transport) checkRelayUrl(url)
  const own = await import('./own-connection.ts')
  const open = await own.sessionOpener(url, options)
  const core = await own.openCore(open, options)
  const ottla = new Ottla({
    core,
    clock,
    random,
    codecs: standardCodecs(),
    hasReplica: replica !== undefined,
    openLanes: async () => own.lanesBeside(core, open, clock, random),
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
