/**
 * Puts a client together in this context: session, outbox and replica beside the code that uses them. In browsers
 * worker/ offers the same `connect`, with those three in a worker that all tabs share.
 */
import { standardCodecs } from '../protocol/codecs/standard.ts'
import { systemClock } from '../protocol/lib/clock.ts'
import { systemRandom } from '../protocol/lib/random.ts'
import { Ottla } from './ottla.ts'
import type { ConnectionOptions } from './own-connection.ts'
import { checkRelayUrl } from './relay-url.ts'
import type { Encryption } from './replica/sealed/encryption.ts'

export interface ConnectOptions extends ConnectionOptions {
  /** Name of a database on this device for replica and outbox. Without one everything is in memory. */
  replica?: string
  /** Encrypts what the replica keeps on this device; see Encryption. Needs Web Crypto, so https or localhost. */
  encryption?: Encryption
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
  const { clock = systemClock, random = systemRandom, replica } = options
  if (!options.transport) checkRelayUrl(url)
  const { openHere } = await import('./open-here.ts')
  const { core, openLanes } = await openHere(url, options)
  const codecs = standardCodecs()
  const isEncrypted = options.encryption !== undefined
  return new Ottla({ core, clock, random, codecs, hasReplica: replica !== undefined, isEncrypted, openLanes })
}
