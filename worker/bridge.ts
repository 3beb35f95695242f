/**
 * The page's Core: everything that it is asked it asks the host, wherever that lives now.
 *
 * Invariants: a call whose host died is repeated at the next one if repeating it changes nothing (an `enqueue` carries
 * its id, and the outbox ignores one that it knows), else it rejects OUTCOME_UNKNOWN; no call waits for ever; a write's
 * outcome is told although the host that knew it died; closing lets go of the host and leaves it to the other tabs.
 */
import type { ChannelAnswer, ChannelAsk } from '../client/channels/ask.ts'
import type {
  Advanced,
  Core,
  EnqueuedTransaction,
  EnqueuedWrite,
  Outbox,
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
import type { ApiName } from '../client/relay-apis.ts'
import type { Credentials } from '../client/sign-in/credentials.ts'
import type { TableCalls, TableDefinition, TableNews } from '../client/table/seam.ts'
import { Emitter } from '../protocol/lib/events.ts'
import { Attacher } from './attacher.ts'
import type { AttacherOptions } from './attacher-options.ts'
import type { Attachment } from './attachment.ts'
import type { EventsNote, HostArgs, HostMethod, HostResult } from './contract.ts'
import { HostCaller } from './host-caller.ts'
import { LocalReads } from './local-reads.ts'
import { initialStatus, withoutHost } from './page-status.ts'
import { Unsettled } from './unsettled.ts'

export interface BridgeOptions extends Omit<AttacherOptions, 'onEvents'> {
  /** How long a call waits for a host before it rejects TIMEOUT. Default 15 s. */
  attachWaitMsMax?: number
  /** Told once, by `close`. A status 'closed' may also be the host's, whose connection the relay refused for good. */
  onClosed?(): void
}

/** A page that opens on its replica reads first; a worker that starts at the same moment would take its time. */
const HEAD_START_MS = 30

export class Bridge implements Core {
  readonly outbox: Outbox
  readonly tables: TableCalls
  readonly #replica: string
  readonly #attacher: Attacher
  readonly #calls: HostCaller
  readonly #reads: LocalReads
  readonly #unsettled = new Unsettled()
  readonly #policies = new Map<string, ReplicaPolicy>()
  readonly #tables = new Map<string, TableDefinition>()
  readonly #tableNews = new Emitter<TableNews>()
  readonly #statusChanged = new Emitter<Status>()
  readonly #advanced = new Emitter<Advanced[]>()
  readonly #settled = new Emitter<Settled[]>()
  readonly #onClosed: (() => void) | undefined
  #status: Status
  #isClosed = false
  #isPaused = false

  constructor(options: BridgeOptions) {
    this.#replica = options.config.replica
    this.#onClosed = options.onClosed
    this.#status = initialStatus(options.config.replica)
    this.#reads = new LocalReads(options.config.replica, options.clock)
    this.#reads.warmUp()
    this.#attacher = new Attacher({ ...options, onEvents: (note) => this.#heard(note) })
    this.#calls = new HostCaller(this.#attacher, options.attachWaitMsMax ?? 15_000)
    this.#attacher.onAttached.on((attachment) => this.#attached(attachment))
    this.#attacher.onLost.on(() => this.#setStatus(withoutHost(this.#status)))
    this.#attacher.onRefused.on((error) => this.#refused(error))
    options.clock.setTimer(HEAD_START_MS, () => this.#attach())
    this.outbox = {
      list: (topic) => this.#call('outboxList', topic),
      retry: (id) => this.#call('outboxRetry', id),
      discard: (id) => this.#call('outboxDiscard', id),
      export: () => this.#call('outboxExport'),
    }
    this.tables = {
      open: (definition) => {
        this.#tables.set(definition.topic, definition)
        return this.#call('tableOpen', definition)
      },
      read: (definition, read) => this.#call('tableRead', definition, read),
      count: (definition, selection) => this.#call('tableCount', definition, selection),
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
    const isColdStart = this.#attacher.current === undefined
    const stored = isColdStart ? await this.#reads.topic(name) : undefined
    return stored ?? (await this.#call('topic', name))
  }

  // Cloned, not transferred: the bytes must still be here to be sent again if the host dies.
  enqueue(write: EnqueuedWrite): Promise<{ durability: StoredDurability }> {
    return this.#watched(write.id, this.#call('enqueue', write))
  }

  enqueueTransaction(transaction: EnqueuedTransaction): Promise<{ durability: StoredDurability }> {
    return this.#watched(transaction.id, this.#call('enqueueTransaction', transaction))
  }

  async #watched<T>(id: string, storing: Promise<T>): Promise<T> {
    this.#unsettled.began(id)
    try {
      const stored = await storing
      this.#unsettled.stored(id)
      return stored
    } catch (error) {
      this.#unsettled.forget(id)
      throw error
    }
  }

  async withdraw(id: string): Promise<boolean> {
    const isWithdrawn = await this.#call('withdraw', id)
    if (isWithdrawn) this.#unsettled.forget(id)
    return isWithdrawn
  }

  progress: Core['progress'] = (query, waitMs) => this.#call('progress', query, waitMs)

  /** What was said may have been heard: it is not said twice. */
  async channel(ask: ChannelAsk): Promise<ChannelAnswer> {
    if (ask.act.is !== 'say') return this.#call('channel', ask)
    this.#throwIfClosed()
    this.#attach()
    return this.#calls.once('channel', ask)
  }

  outcomes(ids: string[]): Promise<Settled[]> {
    return this.#call('outcomes', ids)
  }

  /** Answers from the replica at once when it is there. */
  async replicate(topic: string, policy: ReplicaPolicy): Promise<ReplicaRange[]> {
    this.#throwIfClosed()
    this.#policies.set(topic, policy)
    const stored = this.#attacher.current ? undefined : await this.#reads.ranges(topic)
    // Each host is told the policies when it is found: the first one too.
    if (stored && !this.#attacher.current) return stored
    return this.#call('replicate', topic, policy)
  }

  async stopReplicating(topic: string): Promise<void> {
    this.#policies.delete(topic)
    await this.#call('stopReplicating', topic)
  }

  async readReplica(topicId: string, partition: number, offset: number, bytesMax: number): Promise<StoredChunk[]> {
    this.#throwIfClosed()
    const isInMemory = this.#attacher.current !== undefined && this.#status.replica === null
    const local = isInMemory ? undefined : await this.#reads.read(topicId, partition, offset, bytesMax)
    return local ?? (await this.#call('readReplica', topicId, partition, offset, bytesMax))
  }

  async request(name: ApiName, body: unknown, options?: RequestOptions): Promise<unknown> {
    if (!options?.isChange) return this.#call('request', name, body, options)
    this.#throwIfClosed()
    this.#attach()
    return this.#calls.once('request', name, body, options)
  }

  wake(): void {
    const attachment = this.#attacher.current
    attachment?.probe()
    // Only a hint: a host that dies meanwhile needs none, and the next one connects anyway.
    attachment?.call('wake').catch(() => {})
  }

  async reauthenticate(credentials?: Credentials): Promise<void> {
    await this.#call('reauthenticate', credentials)
  }

  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#isPaused = true
    this.#attacher.stop()
    this.#reads.close()
    this.#setStatus({ ...this.#status, state: 'closed', connection: { phase: 'closed', error: null } })
    this.#onClosed?.()
  }

  /** The page is about to freeze (back/forward cache): holds nothing that another tab may need. */
  pause(): void {
    if (this.#isClosed) return
    this.#isPaused = true
    this.#attacher.stop()
    this.#reads.close()
  }

  resume(): void {
    if (this.#isClosed) return
    this.#isPaused = false
    this.#reads.reopen()
    this.#attach()
  }

  async #call<M extends HostMethod>(method: M, ...args: HostArgs<M>): Promise<HostResult<M>> {
    this.#throwIfClosed()
    this.#attach()
    return this.#calls.repeatedly(method, ...args)
  }

  #attach(): void {
    if (!this.#isPaused) this.#attacher.start()
  }

  #throwIfClosed(): void {
    if (this.#isClosed) throw new OttlaError('CLOSED', { message: `replica '${this.#replica}' is closed` })
  }

  #attached(attachment: Attachment): void {
    this.#setStatus(attachment.status)
    const ranges = attachment.status.topics.flatMap((topic) => topic.replica)
    if (ranges.length > 0) this.#advanced.emit(ranges)
    for (const [topic, policy] of this.#policies) {
      this.#call('replicate', topic, policy).then(
        (now) => this.#advanced.emit(now),
        // Says the same as the call that asked first, or the next host is asked.
        () => {},
      )
    }
    for (const definition of this.#tables.values()) this.#openAgain(definition)
    this.#askOutcomes()
  }

  /** A host that cannot open its database tells no status of its own. */
  #refused(error: OttlaError): void {
    if (error.storage) this.#setStatus({ ...this.#status, storageError: error.toInfo() })
  }

  /** At a new host, which begins to tell of the table; what happened in between is not known here. */
  #openAgain(definition: TableDefinition): void {
    this.#call('tableOpen', definition).then(
      (state) => this.#tableNews.emit({ topic: definition.topic, changes: [], isReset: true, state }),
      // As with policies.
      () => {},
    )
  }

  #heard(note: EventsNote): void {
    if (note.status) this.#setStatus(note.status)
    if (note.advanced) this.#advanced.emit(note.advanced)
    if (note.settled) {
      this.#unsettled.heard(note.settled)
      this.#settled.emit(note.settled)
    }
    if (note.settledMissed) this.#askOutcomes()
    for (const news of note.tables ?? []) this.#tableNews.emit(news)
  }

  #askOutcomes(): void {
    this.#unsettled
      .ask((ids) => this.#call('outcomes', ids))
      .then((news) => {
        if (news.length > 0) this.#settled.emit(news)
      })
      // Asked again at the next attachment.
      .catch(() => {})
  }

  #setStatus(status: Status): void {
    this.#status = status
    this.#statusChanged.emit(status)
  }
}
