/**
 * The outbox: takes writes in, keeps them, and has them brought to the relay exactly once and in order.
 *
 *   enqueue -> row (strict) = stored -> sealed with a stamp (strict) -> sent -> acknowledged = committed -> forgotten
 *
 * Invariants:
 *  - `enqueue` resolves only after the store's unit is complete; a known id is answered and not stored twice;
 *  - only the holder of the store's token stores, seals or settles, so two outboxes on one database cannot both stamp;
 *  - a write that is refused for good is set aside with its error and holds up nothing.
 */
import { type Clock, systemClock } from '../../protocol/lib/clock.ts'
import { Emitter } from '../../protocol/lib/events.ts'
import { type Random, systemRandom } from '../../protocol/lib/random.ts'
import { codecOf, readBatchHeader, viewOf } from '../../protocol/record-batch.ts'
import type {
  EnqueuedTransaction,
  EnqueuedWrite,
  ExportedEntry,
  OutboxDepth,
  OutboxEntry,
  Settled,
  StoredDurability,
} from '../core.ts'
import { type ErrorInfo, OttlaError } from '../errors.ts'
import type { ReplicaStore, StoreContents } from '../replica/store.ts'
import { StoreError, storeErrorFrom } from '../replica/store-error.ts'
import { keyAfter, type OutboxChange, type OutboxRow } from '../replica/store-outbox.ts'
import type { Session } from '../session.ts'
import { CommitQueue } from './commit-queue.ts'
import { Drain } from './drain.ts'
import { outboxError } from './errors.ts'
import { type LedgerRow, OutboxLedger } from './ledger.ts'
import { salvageFrom } from './salvage.ts'
import { faultOf } from './sealer.ts'

export interface OutboxOptions {
  session: Session
  /** Claimed already; see `StoreContents`. */
  store: ReplicaStore
  contents: Pick<StoreContents, 'replicaId' | 'sealed' | 'identities' | 'settled'>
  clock?: Clock
  random?: Random
  /** All stored writes together, parked ones included. Default 64 MiB. */
  sizeBytesMax?: number
  /** Default 1,000,000. */
  recordsMax?: number
  /**
   * A batch whose answer was lost, and whose producer the relay does not know, is sent again only when it is younger:
   * an older one may be in the log and its producer forgotten. Default nine tenths of what the relay says it remembers.
   */
  producerExpiryMs?: number
  /** How long a topic may be missing while we are connected before its writes are parked. Default 5 s. */
  missingTopicGraceMs?: number
  /** Frees space in the store, for example by giving up replicated data; false when nothing could be freed. */
  makeRoom?(sizeBytes: number): Promise<boolean>
  /** Told of every failure of the store. After one that is final the outbox has stopped. */
  onStoreFailure?(failure: StoreError): void
}

const MIB = 1024 * 1024
const DAY_MS = 86_400_000
/** Kafka's own default, for a relay that has not said. */
const PRODUCER_EXPIRY_MS = DAY_MS
const OPEN_PAGE_ROWS = 256
/** About 6 MB of memory. Remembered a day, unless there are more than so many. */
const SETTLED_WRITES_MAX = 32_768
const SETTLED_WRITES_MAX_IN_MEMORY = 1_024

export class Outbox {
  readonly #options: OutboxOptions
  readonly #clock: Clock
  readonly #ledger: OutboxLedger
  readonly #commits: CommitQueue
  readonly #drain: Drain
  readonly #changed = new Emitter<void>()
  readonly #settled = new Emitter<Settled[]>()
  readonly #storing = new Map<string, Promise<void>>()
  #storingBytes = 0
  #storingRecords = 0
  #lastKey = 0
  #stopped: OttlaError | undefined

  constructor(options: OutboxOptions) {
    const { session, store, clock = systemClock, random = systemRandom } = options
    this.#options = options
    this.#clock = clock
    this.#ledger = new OutboxLedger(store.durability === 'device' ? SETTLED_WRITES_MAX : SETTLED_WRITES_MAX_IN_MEMORY)
    this.#commits = new CommitQueue({ store, makeRoom: options.makeRoom })
    this.#drain = new Drain({
      session,
      store,
      replicaId: options.contents.replicaId,
      clock,
      random,
      ledger: this.#ledger,
      commits: this.#commits,
      producerExpiryMs: () => options.producerExpiryMs ?? expiryFrom(session),
      missingTopicGraceMs: options.missingTopicGraceMs ?? 5_000,
      storeFailed: (failure) => this.#storeFailed(failure),
    })
    this.#drain.onSettled((settled) => this.#tell(settled))
  }

  /** Reads what is stored and begins to send it. Call once, before anything else. */
  async open(): Promise<void> {
    const { store, contents } = this.#options
    this.#ledger.restoreSettled(contents.settled)
    const waiting: LedgerRow[] = []
    for (let afterKey = -1; ; ) {
      const page = await store.readOutbox(afterKey, OPEN_PAGE_ROWS)
      for (const row of page) {
        const entry = this.#addToLedger(row)
        if (row.state === 'waiting' || row.state === 'transaction') waiting.push(entry)
      }
      if (page.length < OPEN_PAGE_ROWS) break
      afterKey = page.at(-1)!.key
    }
    this.#drain.restore(contents)
    for (const row of waiting) if (row.phase === 'waiting') this.#drain.add(row)
    this.#drain.wake()
  }

  onSettled(listener: (settled: Settled[]) => void): () => void {
    return this.#settled.on(listener)
  }

  /** Told after anything that `list` or `depth` would show. */
  onChanged(listener: () => void): () => void {
    return this.#changed.on(listener)
  }

  /** Resolves when stored. Rejects OUTBOX_FULL, QUOTA_EXCEEDED, STORAGE_FAILED, INVALID_ARGUMENT, REPLACED, CLOSED. */
  enqueue(write: EnqueuedWrite): Promise<{ durability: StoredDurability }> {
    return this.#storeOnce(write.id, () => [this.#newRow(write)])
  }

  /** The same for a transaction: its rows are stored in one unit. */
  enqueueTransaction(transaction: EnqueuedTransaction): Promise<{ durability: StoredDurability }> {
    return this.#storeOnce(transaction.id, () => this.#newTransaction(transaction))
  }

  async #storeOnce(id: string, newRows: () => OutboxRow[]): Promise<{ durability: StoredDurability }> {
    if (this.#stopped) throw this.#stopped
    const stored = { durability: this.#options.store.durability }
    const repeated = this.#storing.get(id)
    if (repeated) {
      await repeated
      return stored
    }
    if (this.#ledger.isKnown(id)) {
      this.#repeatSettlement(id)
      return stored
    }
    const rows = newRows()
    this.#checkLimits(rows)
    const storing = this.#store(rows)
    this.#storing.set(id, storing)
    try {
      await storing
    } finally {
      this.#storing.delete(id)
    }
    return stored
  }

  /** Nothing more is sent until it is told to go on; what is stored waits, what is on its way gets there. */
  pause(isPaused: boolean): void {
    this.#drain.pause(isPaused)
  }

  /** Takes back a write that is not sealed yet. */
  async withdraw(id: string): Promise<boolean> {
    const rows = this.#ledger.rowsOf(id)
    if (rows.length === 0 || !this.#drain.takeBack(rows)) return false
    await this.#forget(rows)
    return true
  }

  list(topic?: string): OutboxEntry[] {
    return this.#ledger.entries(topic)
  }

  depth(): OutboxDepth {
    return this.#ledger.depth()
  }

  depthByTopic(): Map<string, OutboxDepth> {
    return this.#ledger.depthByTopic()
  }

  /** What became of these writes; nothing for one that still waits, 'unknown' for one never heard of. */
  outcomes(ids: readonly string[]): Settled[] {
    return ids.flatMap((id): Settled[] => {
      if (this.#storing.has(id)) return []
      if (!this.#ledger.isKnown(id)) return [{ id, outcome: 'unknown', error: neverHeardOf(id) }]
      const settlement = this.#ledger.settlementOf(id)
      return settlement ? [settlement] : []
    })
  }

  async retry(id: string): Promise<void> {
    const rows = this.#rowsSetAside(id)
    const stored = await this.#options.store.readOutboxRows(rows.map(({ key }) => key))
    const putRows: OutboxRow[] = []
    for (const row of stored) if (row) putRows.push({ ...row, state: 'waiting', error: null })
    if (rows[0]!.transaction) return this.#retryTransaction(rows, putRows)
    await this.#commits.commit({ putRows }).catch((failure: unknown) => this.#rethrow(failure))
    for (const row of rows) {
      row.phase = 'waiting'
      row.error = null
      row.goesTo = row.partition
      this.#drain.add(row)
    }
    this.#changed.emit()
  }

  /** Under new keys: transactions stand in all lanes in the order of these. */
  async #retryTransaction(rows: readonly LedgerRow[], stored: readonly OutboxRow[]): Promise<void> {
    const transaction = { expiresAtMs: null, attempt: null }
    const putRows = stored.map((row) => ({ ...row, key: this.#nextKey(), state: 'transaction' as const, transaction }))
    await this.#commits
      .commit({ deleteRows: rows.map(({ key }) => key), putRows })
      .catch((failure: unknown) => this.#rethrow(failure))
    const added = putRows.map((row) => this.#addToLedger(row))
    for (const row of rows) this.#ledger.remove(row)
    for (const row of added) this.#drain.add(row)
    this.#changed.emit()
  }

  async discard(id: string): Promise<void> {
    const rows = this.#ledger.rowsOf(id)
    if (rows.length === 0) throw noSuchEntry(id)
    const isQueued = rows.some(({ phase }) => phase === 'waiting' || phase === 'sealed')
    if (isQueued && !this.#drain.takeBack(rows.filter(({ phase }) => phase === 'waiting' || phase === 'sealed'))) {
      throw new OttlaError('INVALID_ARGUMENT', {
        message: `outbox entry ${id} is on its way to the relay and can no longer be discarded`,
        hint: 'wait until it is committed or parked',
      })
    }
    await this.#forget(rows)
    const error = outboxError('DISCARDED', { message: `outbox entry ${id} was discarded` }).toInfo()
    this.#tell([{ id, outcome: 'discarded', error }])
  }

  /** Everything with its bytes, oldest first; a write that was split comes as its parts. */
  async export(ids?: readonly string[]): Promise<ExportedEntry[]> {
    const exported: ExportedEntry[] = []
    const wanted = ids && new Set(ids)
    for (const entry of this.#ledger.entries()) {
      if (wanted && !wanted.has(entry.id)) continue
      for (const { row, batch } of await this.#withBatches(entry.id)) {
        const { topic, goesTo: partition, recordCount, sizeBytes, error, part } = row
        exported.push({ ...entry, topic, partition, recordCount, sizeBytes, error, ...(part && { part }), batch })
      }
    }
    return exported
  }

  /**
   * Everything that is still in memory, as one change for a database that was cleared under us and claimed again.
   * `lostIds` are writes whose bytes were only in the database.
   */
  salvage(): { change: OutboxChange; lostIds: string[] } {
    return salvageFrom(this.#ledger, this.#drain.stamps())
  }

  /** Everything that is left, as given up. For whoever waits for it, when the store is about to be wiped. */
  abandon(error: ErrorInfo): void {
    this.#tell(this.#ledger.entries().map(({ id }) => ({ id, outcome: 'discarded', error })))
  }

  /** Waits for what is being stored. Idempotent. */
  async close(): Promise<void> {
    this.#stopped ??= new OttlaError('CLOSED', { message: 'the outbox is closed' })
    this.#drain.close()
    await this.#commits.idle()
  }

  /** Those that the store has. While parts take the place of a row there, it is looked for again. */
  async #withBatches(id: string): Promise<Array<{ row: LedgerRow; batch: Uint8Array }>> {
    for (let before = ''; ; ) {
      const rows = this.#ledger.rowsOf(id)
      const keys = rows.map(({ key }) => key)
      const stored = await this.#options.store.readOutboxRows(keys)
      const found = rows.flatMap((row, index) => (stored[index] ? [{ row, batch: stored[index].batch }] : []))
      if (found.length === rows.length || before === String(keys)) return found
      before = String(keys)
      await this.#commits.idle()
    }
  }

  #newTransaction({ id, writes, expiresAtMs }: EnqueuedTransaction): OutboxRow[] {
    const rows = writes.map((write) => this.#newRow({ id, ...write }))
    if (rows.length === 0) throw new OttlaError('INVALID_ARGUMENT', { message: `transaction ${id} has no writes` })
    const recordCountOfAll = rows.reduce((sum, { recordCount }) => sum + recordCount, 0)
    let first = 0
    return rows.map((row) => {
      const indexes = Array.from({ length: row.recordCount }, (_, index) => first + index)
      first += row.recordCount
      const part = { indexes, recordCountOfAll }
      return { ...row, state: 'transaction', part, transaction: { expiresAtMs, attempt: null } }
    })
  }

  #newRow(write: EnqueuedWrite): OutboxRow {
    const { id, topic, partition, batch } = write
    const fault = faultOf(batch)
    if (fault) throw new OttlaError('INVALID_ARGUMENT', { message: `the batch of write ${id} is not valid: ${fault}` })
    const header = readBatchHeader(viewOf(batch))
    if (codecOf(header) !== 0 && partition === null) {
      throw new OttlaError('INVALID_ARGUMENT', { message: `write ${id} is compressed and names no partition` })
    }
    return {
      key: this.#nextKey(),
      id,
      topic,
      partition,
      batch,
      recordCount: header.recordCount,
      storedAtMs: this.#clock.now(),
      state: 'waiting',
      error: null,
      part: null,
    }
  }

  #nextKey(): number {
    this.#lastKey = keyAfter(this.#lastKey)
    return this.#lastKey
  }

  #checkLimits(rows: readonly OutboxRow[]): void {
    const { sizeBytesMax = 64 * MIB, recordsMax = 1_000_000 } = this.#options
    const sizeBytesAfter = this.#ledger.sizeBytes + this.#storingBytes + sizeOf(rows)
    if (sizeBytesAfter > sizeBytesMax) {
      throw outboxError('OUTBOX_FULL', {
        message: `the outbox would hold ${sizeBytesAfter} bytes, the limit is ${sizeBytesMax}`,
      })
    }
    const recordsAfter = this.#ledger.recordCount + this.#storingRecords + recordsIn(rows)
    if (recordsAfter > recordsMax) {
      throw outboxError('OUTBOX_FULL', {
        message: `the outbox would hold ${recordsAfter} records, the limit is ${recordsMax}`,
      })
    }
  }

  async #store(rows: readonly OutboxRow[]): Promise<void> {
    this.#storingBytes += sizeOf(rows)
    this.#storingRecords += recordsIn(rows)
    try {
      await this.#commits.commit({ putRows: rows })
    } catch (failure) {
      this.#rethrow(failure)
    } finally {
      this.#storingBytes -= sizeOf(rows)
      this.#storingRecords -= recordsIn(rows)
    }
    const added = rows.map((row) => this.#addToLedger(row))
    for (const row of added) this.#drain.add(row)
    this.#changed.emit()
  }

  #addToLedger(row: OutboxRow): LedgerRow {
    this.#lastKey = Math.max(this.#lastKey, row.key)
    const isCompressed = row.batch.length > 0 && codecOf(readBatchHeader(viewOf(row.batch))) !== 0
    return this.#ledger.add(row, isCompressed)
  }

  async #forget(rows: readonly LedgerRow[]): Promise<void> {
    for (const row of rows) row.isBusy = true
    await this.#commits
      .commit({ deleteRows: rows.map(({ key }) => key) })
      .catch((failure: unknown) => this.#rethrow(failure))
    for (const row of rows) this.#ledger.remove(row)
    this.#changed.emit()
  }

  #rowsSetAside(id: string): LedgerRow[] {
    const rows = this.#ledger.rowsOf(id)
    if (rows.length === 0) throw noSuchEntry(id)
    const aside = rows.filter(({ phase }) => phase === 'parked' || phase === 'unknown')
    if (aside.length > 0) return aside
    throw new OttlaError('INVALID_ARGUMENT', { message: `outbox entry ${id} is pending already` })
  }

  #repeatSettlement(id: string): void {
    const settlement = this.#ledger.settlementOf(id)
    if (settlement) queueMicrotask(() => this.#tell([settlement]))
  }

  #tell(settled: Settled[]): void {
    this.#settled.emit(settled)
    this.#changed.emit()
  }

  #storeFailed(thrown: unknown): void {
    const failure = storeErrorFrom(thrown, 'the outbox')
    if (failure.isFinal && !this.#stopped) {
      this.#stopped = failure.toOttlaError()
      this.#drain.close()
    }
    if (failure.kind !== 'closed') this.#options.onStoreFailure?.(failure)
  }

  #rethrow(failure: unknown): never {
    this.#storeFailed(failure)
    throw failure instanceof StoreError ? failure.toOttlaError() : failure
  }
}

const sizeOf = (rows: readonly OutboxRow[]) => rows.reduce((sum, { batch }) => sum + batch.length, 0)
const recordsIn = (rows: readonly OutboxRow[]) => rows.reduce((sum, { recordCount }) => sum + recordCount, 0)

function neverHeardOf(id: string): ErrorInfo {
  return outboxError('OUTCOME_UNKNOWN', {
    message: `this outbox does not know of a write ${id}: it was never stored, or it ended more than a day ago`,
  }).toInfo()
}

function noSuchEntry(id: string): OttlaError {
  return new OttlaError('INVALID_ARGUMENT', { message: `there is no outbox entry ${id}` })
}

function expiryFrom(session: Session): number {
  const relaysMs = session.limits?.producerIdExpirationMs ?? 0
  return (relaysMs > 0 ? relaysMs : PRODUCER_EXPIRY_MS) * 0.9
}
