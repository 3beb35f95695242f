/**
 * The page's Core: everything that it is asked it asks the host, wherever that lives now.
 *
 * Invariants: a call whose host died is repeated at the next one if repeating it changes nothing (an `enqueue` carries
 * its id, and the outbox ignores one that it knows), else it rejects OUTCOME_UNKNOWN; no call waits for ever; closing
 * lets go of the host and leaves it to the other tabs.
 */
import type { ChannelAnswer, ChannelAsk } from '../client/channels/ask.ts'
import type {
  Advanced,
  Core,
  EnqueuedTransaction,
  EnqueuedWrite,
  Outbox,
  Pause,
  ReplicaPolicy,
  ReplicaRange,
  RequestOptions,
  Settled,
  Status,
  StoredChunk,
  StoredDurability,
  TopicInfo,
} from '../client/core.ts'
import { OttlaError } from '../client/errors.ts'
import type { LogoutOptions, LogoutOutcome } from '../client/logout/options.ts'
import type { ApiName } from '../client/relay-apis.ts'
import type { TableCalls, TableDefinition, TableNews } from '../client/table/seam.ts'
import type { Clock } from '../protocol/lib/clock.ts'
import { Emitter } from '../protocol/lib/events.ts'
import type { HostArgs, HostMethod, HostResult } from './contract.ts'
import { LazyReach } from './lazy-reach.ts'
import { LocalReads } from './local-reads.ts'
import { initialStatus } from './page-status.ts'
import type { Reach, ReachingPage } from './reach.ts'

export interface BridgeOptions {
  replica: string
  clock: Clock
  /** The page cannot read the replica by itself: the worker has the key. */
  isEncrypted?: boolean
  /** Called at once; again when it has failed. */
  loadReach(page: ReachingPage): Promise<Reach>
  /** Told once, by `close`. A status 'closed' may also be the host's, whose connection the relay refused for good. */
  onClosed?(): void
}

/** A page that opens on its replica reads first; a worker that starts at the same moment would take its time. */
const HEAD_START_MS = 30

export class Bridge implements Core {
  readonly outbox: Outbox
  readonly tables: TableCalls
  readonly #reach: LazyReach
  readonly #reads: LocalReads
  readonly #policies = new Map<string, ReplicaPolicy>()
  readonly #pauses = new Set<Pause>()
  readonly #tables = new Map<string, TableDefinition>()
  readonly #tableNews = new Emitter<TableNews>()
  readonly #statusChanged = new Emitter<Status>()
  readonly #advanced = new Emitter<Advanced[]>()
  readonly #settled = new Emitter<Settled[]>()
  readonly #onClosed: (() => void) | undefined
  #status: Status
  #isClosed = false
  /** The logout that ended it, in whichever tab that was. */
  #endedBy: OttlaError | null = null
  #isPaused = false
  /** Only pages can ask. */
  #persisted: boolean | null = null

  constructor(options: BridgeOptions) {
    const { replica, clock } = options
    this.#onClosed = options.onClosed
    this.#status = initialStatus(replica)
    this.#reads = new LocalReads(options.isEncrypted ? null : replica, clock)
    this.#reads.warmUp()
    const page: ReachingPage = {
      policies: this.#policies,
      pauses: this.#pauses,
      tables: this.#tables,
      onStatus: (status) => this.#setStatus(status),
      onAdvanced: (advanced) => this.#advanced.emit(advanced),
      onSettled: (settled) => this.#settled.emit(settled),
      onTables: (news) => this.#tableNews.emit(news),
      onEnded: (error) => this.#end(error),
    }
    this.#reach = new LazyReach(clock, () => options.loadReach(page))
    // `#attach` tries again what fails here.
    void this.#reach.load().catch(() => {})
    clock.setTimer(HEAD_START_MS, () => this.#attach())
    this.outbox = {
      list: this.#passedOn('outboxList'),
      retry: this.#passedOn('outboxRetry'),
      discard: this.#passedOn('outboxDiscard'),
      export: this.#passedOn('outboxExport'),
    }
    this.tables = {
      open: async (definition) => {
        this.#tables.set(definition.topic, definition)
        return (await this.#reached()).tables.open(definition)
      },
      read: async (definition, read) => (await this.#reached()).tables.read(definition, read),
      count: async (definition, selection) => (await this.#reached()).tables.count(definition, selection),
      onNews: (listener) => this.#tableNews.on(listener),
    }
  }

  status(): Status {
    return this.#status
  }

  onStatus(listener: (status: Status) => void): () => void {
    return this.#statusChanged.on(listener)
  }

  onAdvanced(listener: (advanced: Advanced[]) => void): () => void {
    return this.#advanced.on(listener)
  }

  onSettled(listener: (settled: Settled[]) => void): () => void {
    return this.#settled.on(listener)
  }

  /** Straight from the replica when it knows the topic; a topic made anew since is found when replication goes on. */
  async topic(name: string): Promise<TopicInfo> {
    const isColdStart = this.#reach.current === undefined
    const stored = isColdStart ? await this.#reads.topic(name) : undefined
    return stored ?? (await this.#call('topic', name))
  }

  // Cloned, not transferred: the bytes must still be here to be sent again if the host dies. In this very turn if there is a
  // host: a page that is going has no other.
  async enqueue(write: EnqueuedWrite): Promise<{ durability: StoredDurability }> {
    return (this.#reach.attached ?? (await this.#reached())).store(write.id, 'enqueue', write)
  }

  async enqueueTransaction(transaction: EnqueuedTransaction): Promise<{ durability: StoredDurability }> {
    return (await this.#reached()).store(transaction.id, 'enqueueTransaction', transaction)
  }

  async withdraw(id: string): Promise<boolean> {
    return (await this.#reached()).withdraw(id)
  }

  progress = this.#passedOn('progress')

  /** What was said may have been heard: it is not said twice. */
  async channel(ask: ChannelAsk): Promise<ChannelAnswer> {
    if (ask.act.is !== 'say') return this.#call('channel', ask)
    return (await this.#reached()).callOnce('channel', ask)
  }

  keptDocument = this.#passedOn('keptDocument')
  openDocument = this.#passedOn('openDocument')
  changeSecret = this.#passedOn('changeSecret')

  outcomes = this.#passedOn('outcomes')

  /** Answers from the replica at once when it is there. */
  async replicate(topic: string, policy: ReplicaPolicy): Promise<ReplicaRange[]> {
    this.#throwIfClosed()
    this.#policies.set(topic, policy)
    const stored = this.#reach.current ? undefined : await this.#reads.ranges(topic)
    // Each host is told the policies when it is found: the first one too.
    if (stored && !this.#reach.current) return stored
    return this.#call('replicate', topic, policy)
  }

  async stopReplicating(topic: string): Promise<void> {
    this.#policies.delete(topic)
    await this.#call('stopReplicating', topic)
  }

  pause(pause: Pause, isPaused: boolean): Promise<void> {
    this.#pauses[isPaused ? 'add' : 'delete'](pause)
    return this.#call('pause', pause, isPaused)
  }

  async readReplica(topicId: string, partition: number, offset: number, bytesMax: number): Promise<StoredChunk[]> {
    this.#throwIfClosed()
    const isInMemory = this.#reach.current !== undefined && this.#status.replica === null
    const local = isInMemory ? undefined : await this.#reads.read(topicId, partition, offset, bytesMax)
    return local ?? (await this.#call('readReplica', topicId, partition, offset, bytesMax))
  }

  async request(name: ApiName, body: unknown, options?: RequestOptions): Promise<unknown> {
    if (!options?.isChange) return this.#call('request', name, body, options)
    return (await this.#reached()).callOnce('request', name, body, options)
  }

  wake(): void {
    this.#attach()
    const attachment = this.#reach.current
    attachment?.probe()
    // Only a hint: a host that dies meanwhile needs none, and the next one connects anyway.
    attachment?.call('wake').catch(() => {})
  }

  get life(): number {
    return this.#reach.current?.leader.life ?? -1
  }

  async logout(options?: LogoutOptions): Promise<LogoutOutcome> {
    return (await this.#reached()).logout(options)
  }

  reauthenticate = this.#passedOn('reauthenticate')

  async close(): Promise<void> {
    this.#end(null)
  }

  #end(error: OttlaError | null): void {
    if (this.#isClosed) return
    this.letGo()
    this.#isClosed = true
    this.#endedBy = error
    const connection = { phase: 'closed' as const, error: error?.toInfo() ?? null }
    this.#setStatus({ ...this.#status, state: 'closed', connection })
    this.#onClosed?.()
  }

  /** The page is about to freeze (back/forward cache): holds nothing that another tab may need. */
  letGo(): void {
    if (this.#isClosed) return
    this.#isPaused = true
    this.#reach.stop()
    this.#reads.close()
  }

  resume(): void {
    if (this.#isClosed) return
    this.#isPaused = false
    this.#reads.reopen()
    this.#attach()
  }

  #passedOn<M extends HostMethod>(method: M) {
    return (...args: HostArgs<M>): Promise<HostResult<M>> => this.#call(method, ...args)
  }

  async #call<M extends HostMethod>(method: M, ...args: HostArgs<M>): Promise<HostResult<M>> {
    return (await this.#reached()).call(method, ...args)
  }

  #reached(): Promise<Reach> {
    this.#throwIfClosed()
    this.#attach()
    return this.#reach.load()
  }

  #attach(): void {
    if (!this.#isPaused) this.#reach.start()
  }

  #throwIfClosed(): void {
    if (this.#endedBy) throw this.#endedBy
    if (this.#isClosed) throw new OttlaError('CLOSED', { message: 'this client was closed' })
  }

  notePersisted(isPersisted: boolean): void {
    this.#persisted = isPersisted
    this.#setStatus(this.#status)
  }

  #setStatus(status: Status): void {
    this.#status = { ...status, persisted: this.#persisted }
    this.#statusChanged.emit(this.#status)
  }
}
