/**
 * The Core in this context: session, outbox and replica over one store.
 *
 * Invariants: nothing here waits for the network but what asks the relay; a database that is cleared under it is claimed
 * again and everything in memory put back, once, however many calls notice; when another core takes the store over, this
 * one ends.
 */
import type { AnyApi } from '../protocol/api.ts'
import type { Clock } from '../protocol/lib/clock.ts'
import { Emitter } from '../protocol/lib/events.ts'
import type { Random } from '../protocol/lib/random.ts'
import type { ChannelAnswer, ChannelAsk } from './channels/ask.ts'
import type { ChannelHub } from './channels/channel-hub.ts'
import type {
  Advanced,
  Outbox as CoreOutbox,
  EnqueuedTransaction,
  EnqueuedWrite,
  OutboxDepth,
  Pause,
  PauseReason,
  ReplicaPolicy,
  ReplicaRange,
  RequestOptions,
  Settled,
  Status,
  StoredChunk,
  StoredDurability,
  TopicInfo,
} from './core.ts'
import { coreStatus } from './core-status.ts'
import { deviceError } from './device-errors.ts'
import { type DocumentAsk, type KeptDocument, KeptDocuments } from './documents/kept-documents.ts'
import { type OpenDocument, type OpenedDocument, openDocumentAt } from './documents/open-document.ts'
import { asOttlaError, OttlaError } from './errors.ts'
import type { LocalCore, LocalCoreOptions } from './local-core-options.ts'
import { Logout } from './logout/logout.ts'
import type { LogoutOptions, LogoutOutcome } from './logout/options.ts'
import { needsRelay } from './needs-relay.ts'
import { claimBy } from './open-store.ts'
import { Outbox } from './outbox/outbox.ts'
import { Pauses } from './pauses.ts'
import type { GroupProgress, ProgressQuery } from './receipts/progress.ts'
import { ProgressWatcher } from './receipts/progress-watcher.ts'
import type { ApiName } from './relay-apis.ts'
import { HeldReads } from './replica/held-reads.ts'
import { Replica } from './replica/replica.ts'
import type { SecretChange } from './replica/sealed/encryption.ts'
import type { ReplicaStore, StoreContents } from './replica/store.ts'
import { StoreError } from './replica/store-error.ts'
import type { Session } from './session.ts'
import { beside } from './session-beside.ts'
import type { Credentials } from './sign-in/credentials.ts'
import { StatusFeed } from './status-feed.ts'
import { storageFailure } from './storage-failure.ts'
import { StoreRecovery } from './store-recovery.ts'
import { coreSource } from './table/core-source.ts'
import { type LazyTables, lazyTables } from './table/lazy-tables.ts'
import type { TableSource } from './table/source.ts'

/** More connections than one core will ever make. */
const CONNECTIONS_PER_CLAIM = 1_000_000

export class StoredCore implements LocalCore {
  readonly session: Session
  readonly outbox: CoreOutbox
  readonly tables: LazyTables
  readonly life: number
  readonly #options: LocalCoreOptions
  readonly #clock: Clock
  readonly #random: Random
  readonly #store: ReplicaStore
  readonly #own: Session
  readonly #replica: Replica
  readonly #reads: HeldReads
  readonly #documents: KeptDocuments
  readonly #statuses: StatusFeed
  readonly #recovery: StoreRecovery
  readonly #settled = new Emitter<Settled[]>()
  readonly #unlisten: () => void
  #outbox: Outbox
  #watcher: ProgressWatcher | undefined
  #channels: ChannelHub | undefined
  #replicaId: string
  #generation: number
  #trouble: OttlaError | undefined
  #closing: Promise<void> | undefined
  readonly #logout: Logout
  #hasLeft = false
  readonly #writePauses = new Pauses()

  constructor(options: LocalCoreOptions, store: ReplicaStore, contents: StoreContents) {
    const { clock, random } = options
    this.#options = options
    this.#clock = clock
    this.#random = random
    this.#store = store
    this.#replicaId = contents.replicaId
    this.life = contents.life
    this.#generation = contents.claimNumber * CONNECTIONS_PER_CLAIM
    const isEnding = () => this.#closing !== undefined || this.#hasLeft
    this.#statuses = new StatusFeed({ clock, isEnding, make: () => this.#makeStatus() })
    this.#recovery = new StoreRecovery({
      ...{ clock, isEnding },
      beginAnew: () => this.#beginAnew(),
      failed: (error) => {
        this.#trouble = error
        this.#statuses.tell()
      },
    })
    this.#own = options.openSession(this.#identity())
    this.session = options.replica === null ? this.#own : beside(this.#own)
    this.#outbox = this.#newOutbox(contents)
    this.#replica = new Replica({
      session: this.#own,
      store,
      contents,
      clock,
      onTrouble: (trouble) => this.#noteTrouble(trouble),
    })
    this.#reads = new HeldReads({ store, replica: this.#replica, noteTrouble: (trouble) => this.#noteTrouble(trouble) })
    this.#documents = new KeptDocuments({
      store,
      ranges: (topic) => this.#replica.ranges(topic),
      isAllSent: (topic) => isEmpty(this.#outbox.depthByTopic().get(topic)),
    })
    // Looked at once: a database that somebody has cleared would else be noticed only by the next write.
    store.onInterrupted(() => void this.#replica.isIntact())
    this.tables = lazyTables(this.#tableSource(), options.tableStore ?? (options.encryption ? null : options.replica))
    this.#logout = this.#newLogout()
    this.#replica.onAdvanced(() => {
      this.#statuses.changed()
      this.tables.wake()
    })
    this.#unlisten = this.#own.onState(() => {
      this.#statuses.tell()
      this.tables.wake()
    })
    this.#own.onHeard(() => this.#statuses.lookAtClock(this.#own.clockOffsetMs))
    this.#settled.on((settled) => this.tables.settled(settled))
    this.outbox = {
      list: async (topic) => this.#outbox.list(topic),
      retry: async (id) => {
        await this.#outbox.retry(id)
        this.tables.retried(id)
      },
      discard: (id) => this.#outbox.discard(id),
      export: (ids) => this.#outbox.export(ids),
    }
  }

  async open(): Promise<void> {
    try {
      await this.#outbox.open()
    } catch (failure) {
      await this.close()
      throw failure
    }
  }

  status(): Status {
    return this.#statuses.current
  }

  #makeStatus(): Status {
    return coreStatus({
      connection: this.#own.state,
      isClosed: this.#closing !== undefined,
      ranges: this.#replica.ranges(),
      replicated: this.#replica.topicNames,
      outbox: this.#outbox.depth(),
      outboxByTopic: this.#outbox.depthByTopic(),
      replicasPaused: this.#replica.pausedBy,
      writesPaused: this.#writePauses.by,
      replica: this.#options.replica,
      trouble: this.#trouble,
      clockOffsetMs: this.#own.clockOffsetMs,
      clockErrorMs: this.#own.clockErrorMs,
    })
  }

  onStatus(listener: (status: Status) => void): () => void {
    return this.#statuses.on(listener)
  }

  async topic(name: string): Promise<TopicInfo> {
    const known = this.#replica.known(name)
    if (known && this.#own.state.phase !== 'live') return known
    try {
      const info = await this.#own.metadata.lookUp(name)
      this.#replica.learn(info).catch((failure: unknown) => this.#noteTrouble(storageFailure(failure)))
      return info
    } catch (failure) {
      if (known && asOttlaError(failure, 'RELAY').retriable) return known
      throw failure
    }
  }

  async enqueue(write: EnqueuedWrite): Promise<{ durability: StoredDurability }> {
    if (this.#own.isKafka) throw needsRelay(`writing to ${write.topic}`)
    const inTables = this.tables.storing(write.id, [write])
    const stored = await this.#outboxCall((outbox) => outbox.enqueue(write))
    await inTables()
    if (this.#trouble && this.#trouble.code !== 'CORRUPT') this.#noteTrouble(undefined)
    return stored
  }

  async enqueueTransaction(transaction: EnqueuedTransaction): Promise<{ durability: StoredDurability }> {
    if (this.#own.isKafka) throw needsRelay('a transaction')
    const inTables = this.tables.storing(transaction.id, transaction.writes)
    const stored = await this.#outboxCall((outbox) => outbox.enqueueTransaction(transaction))
    await inTables()
    if (this.#trouble && this.#trouble.code !== 'CORRUPT') this.#noteTrouble(undefined)
    return stored
  }

  withdraw(id: string): Promise<boolean> {
    return this.#outbox.withdraw(id)
  }

  onSettled(listener: (settled: Settled[]) => void): () => void {
    return this.#settled.on(listener)
  }

  async outcomes(ids: string[]): Promise<Settled[]> {
    await this.#recovery.settled()
    return this.#outbox.outcomes(ids)
  }

  async replicate(name: string, policy: ReplicaPolicy): Promise<ReplicaRange[]> {
    this.#checkOpen()
    if (this.#own.isKafka) throw needsRelay(`replicating ${name}`)
    const info = this.#replica.known(name) ?? (await this.#own.metadata.lookUp(name))
    const ranges = await this.#replica.replicate(info, policy).catch((failure: unknown) => {
      throw this.#noteTrouble(storageFailure(failure))
    })
    this.#statuses.changed()
    return ranges
  }

  async stopReplicating(name: string): Promise<void> {
    await this.#replica.stopReplicating(name)
    this.#statuses.changed()
  }

  async pause(pause: Pause, isPaused: boolean): Promise<void> {
    this.#checkOpen()
    const [what, reason] = pause.split('-') as ['replicas' | 'writes', PauseReason]
    if (what === 'replicas') this.#replica.pause(reason, isPaused)
    else this.#pauseWrites(reason, isPaused)
    this.#statuses.tell()
  }

  #pauseWrites(reason: PauseReason, isPaused: boolean): void {
    this.#writePauses.set(reason, isPaused)
    this.#resumeWrites()
  }

  /** Unless somebody holds them back. */
  #resumeWrites(): void {
    this.#outbox.pause(this.#writePauses.by !== null)
  }

  onAdvanced(listener: (advanced: Advanced[]) => void): () => void {
    return this.#replica.onAdvanced(listener)
  }

  async readReplica(topicId: string, partition: number, offset: number, bytesMax: number): Promise<StoredChunk[]> {
    this.#checkOpen()
    return this.#reads.read(topicId, partition, offset, bytesMax)
  }

  async progress(query: ProgressQuery, waitMs: number): Promise<GroupProgress> {
    this.#checkOpen()
    this.#watcher ??= new ProgressWatcher(this.#own, this.#clock)
    return this.#watcher.progress(query, waitMs)
  }

  async channel(ask: ChannelAsk): Promise<ChannelAnswer> {
    this.#checkOpen()
    const { ChannelHub } = await import('./channels/channel-hub.ts')
    this.#checkOpen()
    this.#channels ??= new ChannelHub(this.#own, this.#clock)
    return this.#channels.answer(ask)
  }

  async keptDocument(ask: DocumentAsk): Promise<KeptDocument | null> {
    this.#checkOpen()
    return this.#documents.ask(ask).catch((failure: unknown) => {
      throw this.#noteTrouble(storageFailure(failure))
    })
  }

  openDocument(ask: OpenDocument): Promise<OpenedDocument> {
    return openDocumentAt(this, ask)
  }

  async request(name: ApiName, body: unknown, { broker, timeoutMs }: RequestOptions = {}): Promise<unknown> {
    const { RELAY_APIS } = await import('./relay-apis.ts')
    if (!Object.hasOwn(RELAY_APIS, name)) {
      throw new OttlaError('INVALID_ARGUMENT', { message: `there is no call ${name} to the relay` })
    }
    const session = (broker && (await this.#options.brokers?.session(broker))) ?? this.#own
    return session.call<unknown, never>(RELAY_APIS[name] as AnyApi, body as never, { timeoutMs })
  }

  async changeSecret(change: SecretChange): Promise<void> {
    this.#checkOpen()
    if (!this.#store.changeSecret) {
      throw new OttlaError('INVALID_ARGUMENT', {
        message: 'this replica is not encrypted: there is no secret to change',
      })
    }
    await this.#store.changeSecret(change).catch((failure: unknown) => {
      throw storageFailure(failure)
    })
  }

  logout(options: LogoutOptions = {}): Promise<LogoutOutcome> {
    return this.#logout.run(options)
  }

  wake(): void {
    this.#own.retryNow()
  }

  async reauthenticate(credentials?: Credentials): Promise<void> {
    this.#options.wallet?.renew(credentials)
    this.#own.reauthenticate()
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    await this.#recovery.settled()
    this.#watcher?.close()
    this.#channels?.close()
    await this.tables.close()
    await this.#outbox.close()
    await this.#replica.close()
    await this.#own.close()
    await this.#options.brokers?.close()
    await this.#store.close()
    this.#statuses.end()
    this.#unlisten()
    this.#recovery.close()
  }

  #tableSource(): TableSource {
    return coreSource({
      ...{ clock: this.#clock, session: this.#own, replica: this.#replica },
      isEncrypted: Boolean(this.#options.encryption),
      checkOpen: () => this.#checkOpen(),
      changed: () => this.#statuses.changed(),
      failed: (failure) => this.#noteTrouble(storageFailure(failure)),
      readReplica: (topicId, partition, offset, bytesMax) => this.readReplica(topicId, partition, offset, bytesMax),
      waiting: () => this.#outbox.export(),
    })
  }

  #newLogout(): Logout {
    const options = this.#options
    return new Logout({
      ...{ clock: this.#clock, life: this.life, store: this.#store, recovery: this.#recovery },
      ...{ tables: this.tables, replica: this.#replica, wallet: options.wallet },
      database: options.store ? null : options.replica,
      checkOpen: () => this.#checkOpen(),
      outbox: () => this.#outbox,
      resumeWrites: () => this.#resumeWrites(),
      left: (error) => {
        this.#hasLeft = true
        this.#trouble = error
      },
      closeCore: () => this.close(),
    })
  }

  #identity() {
    const core = this
    return {
      get replicaId() {
        return core.#replicaId
      },
      nextGeneration: () => ++this.#generation,
    }
  }

  #newOutbox(contents: Pick<StoreContents, 'replicaId' | 'sealed' | 'identities' | 'settled'>): Outbox {
    const outbox = new Outbox({
      session: this.#own,
      store: this.#store,
      contents,
      clock: this.#clock,
      random: this.#random,
      ...this.#options.outbox,
      makeRoom: (sizeBytes) => this.#makeRoom(sizeBytes),
      onStoreFailure: (failure) => this.#noteTrouble(failure),
    })
    outbox.pause(this.#writePauses.by !== null)
    outbox.onSettled((settled) => this.#settled.emit(settled))
    outbox.onChanged(() => this.#statuses.changed())
    return outbox
  }

  async #makeRoom(sizeBytes: number): Promise<boolean> {
    return (await this.#replica.makeRoom(sizeBytes)) || this.#store.dropDocuments().catch(() => false)
  }

  /** Once more after the store was brought back from being cleared. */
  #outboxCall<T>(call: (outbox: Outbox) => Promise<T>): Promise<T> {
    return this.#logout.gate.through(() => this.#recovery.through(() => call(this.#outbox)))
  }

  #noteTrouble(trouble: OttlaError | StoreError | undefined): OttlaError {
    const error = trouble instanceof StoreError ? trouble.toOttlaError() : trouble
    const isNews = error?.code !== this.#trouble?.code
    this.#trouble = error
    const kind = trouble instanceof StoreError ? trouble.kind : kindOf(error)
    if (kind === 'evicted') this.#recovery.begin()
    if (kind === 'fenced' || kind === 'moved' || kind === 'logged-out') void this.close()
    if (isNews) this.#statuses.tell()
    return error ?? new OttlaError('STORAGE_FAILED', { message: 'storage works again' })
  }

  /** The database was cleared: what is in memory goes back into it, the rest is reported and fetched again. */
  async #beginAnew(): Promise<void> {
    const former = this.#outbox
    await former.close()
    const { change, lostIds } = former.salvage()
    await this.#replica.beginAnew(async () => {
      this.#replicaId = (await this.#store.claim({ ...claimBy(this.#random), life: this.life })).replicaId
      await this.#store.changeOutbox(change)
    })
    const { putSealed = [], putIdentities = [], putSettled = [] } = change
    const replicaId = this.#replicaId
    const contents = { replicaId, sealed: [...putSealed], identities: [...putIdentities], settled: [...putSettled] }
    const outbox = this.#newOutbox(contents)
    await outbox.open()
    this.#outbox = outbox
    const error = deviceError('STORAGE_LOST', {
      message: "this device's storage was cleared while the write waited in it",
      hint: 'write it again unless it is in the log',
    }).toInfo()
    if (lostIds.length > 0) this.#settled.emit(lostIds.map((id) => ({ id, outcome: 'unknown', error })))
    this.#statuses.changed()
  }

  #checkOpen(): void {
    if (this.#closing) throw new OttlaError('CLOSED', { message: 'this client is closed' })
  }
}

const isEmpty = (depth: OutboxDepth | undefined): boolean => !depth?.pendingEntries && !depth?.parkedEntries

function kindOf(error: OttlaError | undefined): string | undefined {
  return error?.cause instanceof StoreError ? error.cause.kind : undefined
}
