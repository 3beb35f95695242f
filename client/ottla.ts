/**
 * What `connect` gives: topics, admin, status and outbox over one core, wherever that core lives. No I/O of its own.
 */
import type { CodecRegistry } from '../protocol/compression.ts'
import type { Clock } from '../protocol/lib/clock.ts'
import type { Random } from '../protocol/lib/random.ts'
import { type Admin, openAdmin } from './admin/admin.ts'
import type { Channel, ChannelOptions } from './channels/channel.ts'
import type { Lanes } from './consumer/lanes.ts'
import { whenReachable } from './consumer/replica-source.ts'
import { Sources } from './consumer/sources.ts'
import type { Core, Outbox, ReplicaPolicy, Status } from './core.ts'
import type { DocumentAsk, KeptDocument } from './documents/kept-documents.ts'
import type { OpenDocument, OpenedDocument } from './documents/open-document.ts'
import { OttlaError } from './errors.ts'
import type { LettersClient } from './group/dead-letters.ts'
import { Group } from './group/group.ts'
import type { GroupOptions } from './group/options.ts'
import { loadApart } from './load-apart.ts'
import type { LogoutOptions, LogoutOutcome } from './logout/options.ts'
import type { MeteredOptions } from './metered.ts'
import type { ExportOptions, ImportOptions, ImportOutcome } from './outbox/outbox-file.ts'
import type { ProcessedReceipt, Receipt } from './producer/receipt.ts'
import { SendBuffer } from './producer/send-buffer.ts'
import { Settlements } from './producer/settlements.ts'
import type { ReceiptHub } from './receipts/receipt-hub.ts'
import type { SecretChange } from './replica/sealed/encryption.ts'
import { bytes, type Serde, string } from './serde.ts'
import type { Credentials } from './sign-in/credentials.ts'
import type { Wallet } from './sign-in/wallet.ts'
import { loadTables } from './table/lazy-tables.ts'
import type { Table, TableOptions } from './table/table.ts'
import { type ReceiptOptions, Topic, type TopicOptions } from './topic.ts'
import type { SendingTransaction } from './transactions/gathering.ts'
import type { ProducerOptions, TransactionalProducer } from './transactions/producer.ts'
import type { StoredTransaction, TransactionOptions } from './transactions/store-transaction.ts'

export interface OttlaParts {
  core: Core
  clock: Clock
  random: Random
  codecs: CodecRegistry
  /** Topics are read from the replica unless they say otherwise. */
  hasReplica: boolean
  /** What the replica keeps is not to be read by everybody. */
  isEncrypted?: boolean
  /** Connections for live readers, made when the first of them needs one. */
  openLanes(): Promise<Lanes>
  /** Asks the browser to keep the storage; pages have it. */
  persist?(): Promise<boolean | null>
  /** What this context's own connections sign in with, where the core is elsewhere. */
  wallet?: Wallet
}

export class Ottla {
  readonly admin: Admin
  readonly #parts: OttlaParts
  readonly #settlements: Settlements
  readonly #sources: Sources
  readonly #sending = { busy: new Set<SendBuffer>(), isClosed: false }
  #receipts: ReceiptHub | undefined
  readonly #consumers = new Set<() => Promise<void>>()
  readonly #producers = new Set<TransactionalProducer>()
  #closing: Promise<void> | undefined

  constructor(parts: OttlaParts) {
    this.#parts = parts
    this.admin = openAdmin(parts.core, parts.clock)
    this.#settlements = new Settlements(parts.core)
    this.#sources = new Sources(parts.core, parts.codecs, parts.openLanes)
  }

  get status(): Status {
    return this.#parts.core.status()
  }

  /** The relay's wall clock, as well as it is known: this device's until the first connection. Order is the log's, not a clock's. */
  now(): number {
    return this.#parts.clock.now() + (this.status.clockOffsetMs ?? 0)
  }

  /** At every change; `status` already is what the listener gets. Returns the function that ends listening. */
  onStatus(listener: (status: Status) => void): () => void {
    // What it throws is reported, and is nothing to whoever else listens.
    return this.#parts.core.onStatus(async (status) => listener(status))
  }

  /** Writes that wait for the relay, and those that wait for a person. */
  get outbox(): Outbox {
    return this.#parts.core.outbox
  }

  /** Codecs for reading compressed batches; gzip is there, others are plugged in. */
  get codecs(): CodecRegistry {
    return this.#parts.codecs
  }

  /** A typed handle; asks nobody whether the topic exists. Default serdes: `string` keys, `bytes` values. */
  topic<K = string, V = Uint8Array>(name: string, options: TopicOptions<K, V> = {}): Topic<K, V> {
    this.#throwIfClosed()
    const { core, clock, random, codecs, hasReplica } = this.#parts
    const parts = { topic: name, core, settlements: this.#settlements, clock, random, sending: this.#sending }
    const buffer = new SendBuffer(parts, options)
    return new Topic<K, V>({
      name,
      key: options.key ?? (string as unknown as Serde<K>),
      value: options.value ?? (bytes as unknown as Serde<V>),
      buffer,
      clock,
      codecs,
      sources: this.#sources,
      policy: policyOf(options.replica, hasReplica),
      lookUp: (topicName) => core.topic(topicName),
      withProcessed: (receipt, asked) => this.#withProcessed(name, receipt, asked),
      replicate: (policy, signal) => whenReachable(core, signal, () => core.replicate(name, policy)),
    })
  }

  /**
   * A compacted topic as a table: the newest value of each key, live and offline. Default serdes: `string` keys, JSON
   * values. Waits offline for a topic never heard of. Rejects UNKNOWN_TOPIC, INVALID_ARGUMENT, STORAGE_FAILED, ABORTED.
   */
  async table<K = string, V = unknown>(name: string, options: TableOptions<K, V> = {}): Promise<Table<K, V>> {
    this.#throwIfClosed()
    const { core, clock, random } = this.#parts
    const tables = await loadTables()
    return tables.Table.open(name, options, { core, clock, random, settlements: this.#settlements })
  }

  #withProcessed(topic: string, receipt: Receipt, { receipt: groups, ...options }: ReceiptOptions): ProcessedReceipt {
    const { core, clock } = this.#parts
    const before = core.topic(topic).catch(() => undefined)
    const processed = import('./group/on-demand.ts').then((parts) => {
      this.#receipts ??= new parts.ReceiptHub(core, clock)
      return parts.processed(this.#receipts, core, { topic, before, receipt }, [groups].flat(), options)
    })
    processed.catch(() => {})
    return Object.assign(receipt, { processed })
  }

  /**
   * Records that are in the log together, or not at all; readers of committed records never see half. Works offline: it
   * resolves when all of it is stored on this device, in one step. Rejects with what the callback throws, then nothing is.
   */
  async transaction(
    fill: (transaction: SendingTransaction) => unknown,
    options?: TransactionOptions,
  ): Promise<StoredTransaction> {
    this.#throwIfClosed()
    const { storeTransaction } = await loadTransactions()
    return storeTransaction(
      { ...this.#parts, settlements: this.#settlements, buffers: this.#sending.busy },
      fill,
      options,
    )
  }

  /**
   * A producer with a transactional id, for programs that are connected: transactions of any size, and with the offsets of
   * what they were made of. Asks nothing of the relay yet.
   */
  async producer(options: ProducerOptions): Promise<TransactionalProducer> {
    this.#throwIfClosed()
    const { clock, random } = this.#parts
    const [parts, lanes] = await Promise.all([loadTransactions(), this.#sources.lanes()])
    const producer = new parts.TransactionalProducer(options, { session: lanes.main, clock, random })
    this.#producers.add(producer)
    return producer
  }

  /** A group of consumers that share the partitions of topics; see GroupOptions for how its members behave. */
  group(id: string, options: GroupOptions = {}): Group {
    const { clock, random, codecs } = this.#parts
    const topic = (name: string) => this.topic<Uint8Array, Uint8Array>(name, { key: bytes, replica: false })
    const onClose = this.#onClose
    const letters: LettersClient = {
      topic,
      transaction: (fill) => this.transaction(fill),
      discard: (entry) => this.outbox.discard(entry),
    }
    return new Group(id, options, { ...letters, clock, random, codecs, lanes: () => this.#sources.lanes(), onClose })
  }

  /** What the log has of one document, in parts; for what edits documents together (ottla/yjs). */
  openDocument(ask: OpenDocument): Promise<OpenedDocument> {
    return this.#parts.core.openDocument(ask)
  }

  /** The same as this device keeps it, or is to keep it from now on. */
  keptDocument(ask: DocumentAsk): Promise<KeptDocument | null> {
    return this.#parts.core.keptDocument(ask)
  }

  /**
   * A channel of a topic: who is there, and what is said right now. Nothing of it is stored. Resolves at once; the channel
   * takes part as soon as there is a connection, and again after each reconnect.
   */
  async channel<S = unknown, M = unknown>(
    topic: string,
    name: string,
    options: ChannelOptions<S, M> = {},
  ): Promise<Channel<S, M>> {
    const { openChannel } = await import('./channels/open-channel.ts')
    this.#throwIfClosed()
    const { core, clock, random } = this.#parts
    return openChannel({ core, clock, random, onClose: this.#onClose }, { topic, name }, options)
  }

  /**
   * Signs in with these from now on: leaves `needs-auth`, or refreshes the session on the live connection. Without any, with
   * what was given before. Resolves when that has begun; the status tells what comes of it. Rejects INVALID_ARGUMENT.
   */
  async reauthenticate(credentials?: Credentials): Promise<void> {
    const { core, wallet } = this.#parts
    wallet?.renew(credentials)
    await core.reauthenticate(wallet && !wallet.isEmpty ? await wallet.credentials() : credentials)
  }

  /** Ends a topic's replica, for all tabs. What is stored goes when space is needed, and is used if it is kept again. */
  stopReplicating(topic: string): Promise<void> {
    return this.#parts.core.stopReplicating(topic)
  }

  /** Replicas stand still until `pauseReplicas(false)`, on all tabs: nothing is fetched for them. Writes go out, what is held is read. */
  pauseReplicas(isPaused = true): Promise<void> {
    return this.#parts.core.pause('replicas-asked', isPaused)
  }

  /** Writes are stored, and held back until `pauseWrites(false)`, on all tabs. What is on its way gets there. */
  pauseWrites(isPaused = true): Promise<void> {
    return this.#parts.core.pause('writes-asked', isPaused)
  }

  /**
   * Replicas, and writes if they are named, stand still for as long as the connection costs by the byte, where the browser tells.
   * Returns the function that ends it.
   */
  async pauseWhenMetered(options?: MeteredOptions): Promise<() => void> {
    return (await import('./metered.ts')).pauseWhenMetered(this.#parts.core, options)
  }

  /** Connects (or looks at the connection) now rather than when the back-off says. */
  wake(): void {
    this.#parts.core.wake()
  }

  /**
   * What waits in the outbox, parked writes included, as a file for a person to keep: docs/STORAGE.md has its format. Of an
   * encrypted replica it is encrypted too, under a `secret`, unless it is said to be `plain`. Rejects INVALID_ARGUMENT when
   * neither was said, STORAGE_FAILED, DISCONNECTED (its code could not be loaded).
   */
  async exportOutbox(options?: ExportOptions): Promise<Blob> {
    const { core, clock, isEncrypted } = this.#parts
    return (await outboxFiles()).exportOutbox(core, clock.now(), options, isEncrypted)
  }

  /**
   * Takes the writes of such a file in again; those that this device knows are not doubled. Rejects INVALID_ARGUMENT, LOCKED
   * without the file's secret.
   */
  async importOutbox(file: Blob, options?: ImportOptions): Promise<ImportOutcome> {
    return (await outboxFiles()).importOutbox(this.#parts.core, file, options)
  }

  /**
   * An encrypted replica opens with another secret from now on, and with the old one no more; tabs that are open go on. Should
   * it end without an answer, one of the two opens it. Rejects LOCKED when `from` is not its secret, INVALID_ARGUMENT.
   */
  changeSecret(change: SecretChange): Promise<void> {
    return this.#parts.core.changeSecret(change)
  }

  /** Asks the browser to keep what lies on this device; null: it cannot be asked. `status.persisted` has the answer. */
  async persist(): Promise<boolean | null> {
    return (await this.#parts.persist?.()) ?? null
  }

  /**
   * Ends this user's time on this device, in all tabs: what the replica holds, tables and unsent writes are deleted (or the
   * latter kept, as `pending` says), every client of the replica is closed, also one in a tab that sleeps. Works offline; once
   * it has begun, a crash only delays it. Rejects UNSENT_WRITES, and then nothing has changed; STORAGE_FAILED.
   */
  async logout(options?: LogoutOptions): Promise<LogoutOutcome> {
    this.#throwIfClosed()
    await this.#flush()
    const outcome = await this.#parts.core.logout(options)
    this.#parts.wallet?.forget()
    await this.close()
    return outcome
  }

  /** Stores what was sent, then lets go. Stored writes stay in the outbox of a replica for the next time. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  /** What is to be closed before the connections are. Returns the function that takes it back. */
  readonly #onClose = (close: () => Promise<void>) => {
    this.#consumers.add(close)
    return () => this.#consumers.delete(close)
  }

  #throwIfClosed(): void {
    if (this.#closing) throw new OttlaError('CLOSED', { message: 'this client was closed' })
  }

  async #flush(): Promise<void> {
    await Promise.all([...this.#sending.busy].map((buffer) => buffer.flush()))
  }

  async #close(): Promise<void> {
    await Promise.all([...this.#consumers].map((close) => close()))
    await Promise.all([...this.#producers].map((producer) => producer.close()))
    // First: what came while others are flushed would be let go with the core.
    this.#sending.isClosed = true
    await this.#flush()
    await this.#sources.close()
    await this.#parts.core.close()
    this.#settlements.stop()
  }
}

const outboxFiles = () => loadApart('files', () => import('./outbox/outbox-file.ts'))

/** Called early by pages that may go offline before their first transaction. */
export const loadTransactions = () => loadApart('transactions', () => import('./transactions/apart.ts'))

function policyOf(wanted: ReplicaPolicy | boolean | undefined, hasReplica: boolean): ReplicaPolicy | null {
  if (!hasReplica || wanted === false) return null
  return typeof wanted === 'object' ? wanted : {}
}
