/**
 * `connect` for pages: connection, replica and outbox live in a worker that all tabs share, the page holds the rest.
 *
 * Never waits for the worker: what the replica holds is read straight from IndexedDB, and what must be asked of the
 * worker waits by itself.
 */
import { type ConnectOptions, connect as connectHere } from '../client/connect.ts'
import { loadTransactions, Ottla } from '../client/ottla.ts'
import { checkRelayUrl } from '../client/relay-url.ts'
import { openWallet } from '../client/sign-in/wallet.ts'
import { standardCodecs } from '../protocol/codecs/standard.ts'
import { systemClock } from '../protocol/lib/clock.ts'
import { systemRandom } from '../protocol/lib/random.ts'
import type { WorkerChoice } from './choose.ts'
import { openBridge } from './open-bridge.ts'
import type { PlainConnectionOptions } from './open-core.ts'
import type { PersistWhen } from './persistence.ts'

export interface PageConnectOptions extends ConnectOptions {
  /**
   * Where connection, replica and outbox live. 'auto' (default): a SharedWorker, else a dedicated worker with one tab
   * leading (needs Web Locks, so a secure context), else the page. 'shared' and 'dedicated' reject UNSUPPORTED where
   * they can't be had. 'none': in the page; of several tabs one leads here too.
   */
  worker?: WorkerChoice
  /**
   * The worker's script. Default: worker.js beside this module. A page that is built by a bundler names it, as the
   * bundler moves this module: `'/worker.js'` where the relay serves it. From another origin it runs as a dedicated
   * worker.
   */
  workerUrl?: string | URL
  /**
   * When the browser is asked to keep what lies on this device: once a write waits there (default), at a moment that makes sense
   * to a person who is asked, or never by itself: then `ottla.persist()` does.
   */
  persist?: PersistWhen
}

const PAGE_STANDS_MS = 1_000

/**
 * Connects to a relay, like the client's `connect`. Without a replica, outside pages, or with parts that can't cross to
 * a worker (`transport`, `webSocket`, `wakeUps`, `clock`, `random`) everything runs in this context.
 */
export async function connect(url: string, options: PageConnectOptions = {}): Promise<Ottla> {
  const { replica, worker = 'auto' } = options
  if (replica === undefined || typeof document === 'undefined' || hasOwnParts(options)) return connectHere(url, options)
  checkRelayUrl(url)
  // Once the page stands: it may be offline by its first transaction, which is to be stored all the same.
  setTimeout(() => void loadTransactions().catch(ignored), PAGE_STANDS_MS)
  const { auth, encryption, persist = 'when-writes-wait' } = options
  const wallet = openWallet(auth)
  const plain = plainOptions(options)
  const config = { url, replica, options: { ...plain, encryption, ...(typeof auth !== 'function' && { auth }) } }
  const core = openBridge({
    config,
    worker,
    workerUrl: workerUrlOf(options.workerUrl),
    loadInPage: async () => (await import('./page-seat.ts')).seatInPage(),
  })
  if (auth) void import('./page-credentials.ts').then((page) => page.keepSignedIn(core, wallet, systemClock))
  if (encryption) void import('./page-secret.ts').then((page) => page.followSecret(core, config), ignored)
  const persistence = () => import('./persistence.ts')
  setTimeout(() => void persistence().then((each) => each.watchPersistence(core, persist), ignored), PAGE_STANDS_MS)
  return new Ottla({
    core,
    persist: async () => (await persistence()).askToPersist(core),
    wallet,
    clock: systemClock,
    random: systemRandom,
    codecs: standardCodecs(),
    hasReplica: true,
    isEncrypted: encryption !== undefined,
    openLanes: async () => (await import('./page-lanes.ts')).openPageLanes(url, plain, wallet),
  })
}

/** What cannot be loaded early is loaded when it is needed, or by the next page. */
function ignored(): void {}

function hasOwnParts({ transport, webSocket, wakeUps, clock, random }: ConnectOptions): boolean {
  return [transport, webSocket, wakeUps, clock, random].some((part) => part !== undefined)
}

function plainOptions(options: ConnectOptions): PlainConnectionOptions {
  const { clientId, heartbeatMs, requestTimeoutMs, connectTimeoutMs, backoff } = options
  return { clientId, heartbeatMs, requestTimeoutMs, connectTimeoutMs, backoff }
}

function workerUrlOf(given: string | URL | undefined): URL {
  if (given !== undefined) return new URL(given, location.href)
  return new URL(/* @vite-ignore */ './worker.js', import.meta.url)
}
