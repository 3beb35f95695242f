/**
 * A compacted topic as a table: the newest value of each key, readable and writable offline. Rows are kept where the
 * replica is; this is the page's side, with types.
 */
import type { Clock } from '../../protocol/lib/clock.ts'
import { Emitter } from '../../protocol/lib/events.ts'
import type { Random } from '../../protocol/lib/random.ts'
import { randomUuid } from '../../protocol/lib/uuid.ts'
import { encodeBatch, type RecordHeader } from '../../protocol/records.ts'
import { abortError } from '../abort-error.ts'
import type { Core, ReplicaPolicy } from '../core.ts'
import { asOttlaError, OttlaError } from '../errors.ts'
import { filterOf, matcherOf } from '../key-filter.ts'
import { encodeMessage } from '../producer/encode-message.ts'
import { settleReceipts } from '../producer/outcome.ts'
import { OpenReceipt, type Receipt } from '../producer/receipt.ts'
import type { Settlements } from '../producer/settlements.ts'
import { json, type Serde, string } from '../serde.ts'
import { successorOf, textOf } from './key-order.ts'
import { type Base, Merging } from './merging.ts'
import {
  type TableChange,
  type TableCursor,
  type TableDefinition,
  type TableNews,
  type TableRow,
  type TableSelection,
  type TableState,
  WRITE_ID_HEADER,
} from './seam.ts'
import { encoderOf, isSelected, type Selection, selectionOf } from './selection.ts'
import { Turns } from './turns.ts'

export interface TableOptions<K, V> {
  /** Default: `string`. Encoded keys compare as bytes; for numbers use `orderedNumber`. */
  key?: Serde<K>
  /** Default: JSON. */
  value?: Serde<V>
  /** Paths into JSON values by the index's name, `{ byCity: 'address.city' }`. Kept on this device; a change makes it anew. */
  indexes?: Record<string, string>
  /**
   * What a key should be when somebody else's write came between: `base` is what the local write was made from (undefined
   * also when nobody knows any more). Returns undefined to delete. Default: the later write wins.
   */
  merge?(base: V | undefined, local: V | undefined, remote: V | undefined, key: K): V | undefined
  /** What the replica keeps of the topic's log beside the table. Default false: only what the table has not taken in. */
  log?: ReplicaPolicy | boolean
  /**
   * Only these keys, and those that begin with one of `prefixes`: the relay leaves out the others. Default: all. A table that
   * somebody else on this device has opened for more has more.
   */
  keys?: readonly K[]
  prefixes?: readonly K[]
  /**
   * The topic's `delete.retention.ms`: after so long without the relay a deletion may have left the log unseen, and the
   * table is read anew. Default a day, as Kafka's.
   */
  tombstonesKeptMs?: number
  /** Ends waiting for a relay that can tell of a topic never heard of; has no effect later. */
  signal?: AbortSignal
}

export interface TableEntry<K, V> {
  key: K
  value: V
  /** 'pending': stored on this device, not in the table from the log yet. */
  state: 'pending' | 'committed'
  /** Of the record in the log; undefined while there is none. */
  partition: number | undefined
  offset: number | undefined
  timestamp: number
}

export interface EntryChange<K, V> {
  key: K
  before: TableEntry<K, V> | undefined
  after: TableEntry<K, V> | undefined
  /** A pending write was refused or taken back; its error is the one that its receipt rejects with as `cause`. */
  rolledBack?: { id: string; error: OttlaError }
}

export interface TableEvent<K, V> {
  /** All that one write, one transaction, or one piece of the log has changed among the rows listened to. */
  changes: Array<EntryChange<K, V>>
  /** Changes were too many to be told one by one (a table that fills, a new worker): read again. */
  isReset: boolean
  state: TableState
}

export interface RangeOptions {
  /** Default 1,000. */
  limit?: number
  reverse?: boolean
}

export interface TableParts {
  core: Core
  settlements: Settlements
  clock: Clock
  random: Random
}

interface HeardNews extends TableNews {
  isOtherState: boolean
}

/** It would show as pending, land, and be gone: no record of its key comes back. */
const notKept = (name: string) =>
  new OttlaError('INVALID_ARGUMENT', {
    message: `the table of ${name} was opened for other keys`,
    hint: 'open it with this key among its `keys` or `prefixes`, or send the record to the topic itself',
  })

const NOTHING_HEARD: TableState = { isReady: false, isUpToDate: false, error: null }
const DAY_MS = 86_400_000
const PAGE_ROWS = 256

export class Table<K = string, V = unknown> {
  readonly name: string
  readonly key: Serde<K>
  readonly value: Serde<V>
  readonly #parts: TableParts
  readonly #definition: TableDefinition
  readonly #merging: Merging | undefined
  readonly #news = new Emitter<HeardNews>()
  /** Whether a key is one of those that were asked for. */
  readonly #isKept: (key: Uint8Array) => boolean
  readonly #updates = new Map<string, Turns>()
  readonly #stopListening: () => void
  readonly #closed = new Emitter<void>()
  #isClosed = false
  #state = NOTHING_HEARD

  /** A topic never heard of is waited for while offline. Rejects UNKNOWN_TOPIC, INVALID_ARGUMENT, STORAGE_FAILED, ABORTED. */
  static async open<K, V>(name: string, options: TableOptions<K, V>, parts: TableParts): Promise<Table<K, V>> {
    const table = new Table<K, V>(name, options, parts)
    try {
      const opened = await whenReachable(parts.core, options.signal, () => parts.core.tables.open(table.#definition))
      // What was told meanwhile ends with what is so now; the answer may be of before.
      if (table.#state === NOTHING_HEARD) table.#state = opened.state
      await table.#merging?.adopt(parts.core, name, (key) => table.#row(key))
    } catch (failure) {
      table.close()
      throw failure
    }
    return table
  }

  private constructor(name: string, options: TableOptions<K, V>, parts: TableParts) {
    const { key, value, indexes = {}, merge, log = false, tombstonesKeptMs = DAY_MS } = options
    this.name = name
    this.key = key ?? (string as unknown as Serde<K>)
    this.value = value ?? json<V>()
    this.#parts = parts
    checkIndexes(name, indexes)
    const kept: ReplicaPolicy = log === false ? { onlyForTable: true } : log === true ? {} : log
    const policy = { ...kept, ...this.#chosen(options) }
    const filter = filterOf(policy)
    this.#isKept = filter === undefined ? () => true : matcherOf(filter)
    this.#definition = { topic: name, indexes: { ...indexes }, policy, tombstonesKeptMs }
    this.#merging = merge && this.#mergingWith(merge)
    this.#stopListening = parts.core.tables.onNews((news) => this.#heard(news))
  }

  #chosen({ keys, prefixes }: TableOptions<K, V>): Pick<ReplicaPolicy, 'keys' | 'prefixes'> {
    const encode = encoderOf(this.key)
    return { ...(keys && { keys: keys.map(encode) }), ...(prefixes && { prefixes: prefixes.map(encode) }) }
  }

  /** Ready: it holds all that the log had when the relay was last reached. */
  get state(): TableState {
    return this.#state
  }

  /**
   * Resolves when `state.isReady`. Offline on an empty device that may take until there is a network. Rejects ABORTED, and
   * CLOSED when this handle is closed meanwhile.
   */
  whenReady({ signal }: { signal?: AbortSignal } = {}): Promise<void> {
    return new Promise((resolve, reject) => {
      const look = () => {
        const isOver = this.#state.isReady || signal?.aborted || this.#isClosed
        if (!isOver) return
        for (const off of offs) off()
        signal?.removeEventListener('abort', look)
        if (this.#state.isReady) resolve()
        else if (signal?.aborted) reject(abortError('waiting for a table', signal))
        else reject(new OttlaError('CLOSED', { message: `the table of ${this.name} was closed before it was ready` }))
      }
      const offs = [this.#news.on(look), this.#closed.on(look)]
      signal?.addEventListener('abort', look)
      look()
    })
  }

  async get(key: K): Promise<TableEntry<K, V> | undefined> {
    const row = await this.#row(encoderOf(this.key)(key))
    return row && row.value !== null ? this.#entry(row) : undefined
  }

  /** Rows in the order of their keys, or of an index. Rejects INVALID_VALUE when one cannot be decoded. */
  async range(selection: Selection<K> = {}, { limit = 1_000, reverse = false }: RangeOptions = {}) {
    const entries: Array<TableEntry<K, V>> = []
    for await (const page of this.#pages(selection, reverse, limit)) entries.push(...page)
    return entries
  }

  /** Rows whose keys begin so. */
  prefix(prefix: K, options: RangeOptions = {}): Promise<Array<TableEntry<K, V>>> {
    return this.range({ prefix }, options)
  }

  /** All of them, a page at a time; what changes meanwhile may or may not be seen. */
  async *entries(
    selection: Selection<K> = {},
    { limit = Number.POSITIVE_INFINITY, reverse = false }: RangeOptions = {},
  ): AsyncGenerator<TableEntry<K, V>> {
    for await (const page of this.#pages(selection, reverse, limit)) yield* page
  }

  /** A row that is in an index several times counts as often. */
  count(selection: Selection<K> = {}): Promise<number> {
    return this.#parts.core.tables.count(this.#definition, this.#selected(selection))
  }

  /** Calls `listener` at every change among these rows, and of the table's state. Returns the function that ends it. */
  subscribe(selection: Selection<K>, listener: (event: TableEvent<K, V>) => void): () => void {
    const selected = this.#selected(selection)
    // What it throws is reported, and is nothing to whoever else listens.
    return this.#news.on(async (news) => {
      const event = this.#event(news, selected)
      if (event) listener(event)
    })
  }

  /** Returns at once; shows as pending when stored, everywhere at the same time. Throws INVALID_VALUE. */
  put(key: K, value: V): Receipt {
    return this.#send(key, value)
  }

  /** A tombstone: the key is gone from the table, and in time from the log. */
  delete(key: K): Receipt {
    return this.#send(key, null)
  }

  /**
   * Puts what `change` makes of the present value, pending ones included; undefined deletes. One after another for each
   * key of this page. Resolves when stored; undefined when there was nothing to delete.
   */
  async update(key: K, change: (value: V | undefined) => V | undefined): Promise<Receipt | undefined> {
    const text = textOf(encoderOf(this.key)(key))
    const turns = this.#updates.get(text) ?? new Turns()
    this.#updates.set(text, turns)
    const stored = turns.take(async () => {
      const value = (await this.get(key))?.value
      const next = change(value)
      if (next === undefined && value === undefined) return undefined
      const receipt = next === undefined ? this.delete(key) : this.put(key, next)
      await receipt.stored
      return receipt
    })
    void turns.settled().then(() => {
      if (this.#updates.get(text) === turns && turns.isIdle) this.#updates.delete(text)
    })
    return stored
  }

  /** Ends what this handle listens to. The table stays on the device, and is followed for as long as the client is open. */
  close(): void {
    this.#stopListening()
    this.#news.clear()
    this.#isClosed = true
    this.#closed.emit()
  }

  async #row(key: Uint8Array): Promise<TableRow | undefined> {
    const at = { index: null, from: key, to: successorOf(key), after: null, isReverse: false, countMax: 1 }
    return (await this.#parts.core.tables.read(this.#definition, at)).rows[0]
  }

  async *#pages(selection: Selection<K>, isReverse: boolean, limit: number): AsyncGenerator<Array<TableEntry<K, V>>> {
    const selected = this.#selected(selection)
    let left = limit
    for (let after: TableCursor | null = null; left > 0; ) {
      const read = { ...selected, after, isReverse, countMax: Math.min(PAGE_ROWS, left) }
      const { rows, next } = await this.#parts.core.tables.read(this.#definition, read)
      left -= rows.length
      yield rows.map((row) => this.#entry(row))
      if (!next) return
      after = next
    }
  }

  #selected(selection: Selection<K>): TableSelection {
    return selectionOf(selection, this.key, this.#definition)
  }

  #entry(row: TableRow): TableEntry<K, V> {
    const { key, value, partition, offset, timestamp, pendingId } = row
    const isInLog = offset >= 0
    return {
      key: this.#decoded(this.key, key, `the key at offset ${offset}`),
      value: this.#decoded(this.value, value!, `the value at offset ${offset}`),
      state: pendingId === undefined ? 'committed' : 'pending',
      partition: isInLog ? partition : undefined,
      offset: isInLog ? offset : undefined,
      timestamp,
    }
  }

  #decoded<T>(serde: Serde<T>, bytes: Uint8Array, what: string): T {
    try {
      return serde.decode(bytes)
    } catch (cause) {
      const message = `${what} of the table of ${this.name} cannot be decoded: ${asOttlaError(cause, 'INVALID_VALUE').message}`
      throw new OttlaError('INVALID_VALUE', { message, cause })
    }
  }

  #heard(news: TableNews): void {
    if (news.topic !== this.name) return
    const isOtherState = JSON.stringify(news.state) !== JSON.stringify(this.#state)
    this.#state = news.state
    for (const change of news.changes) {
      if (change.rolledBack) this.#merging?.dropped(change.key, change.rolledBack.id)
      this.#merging?.heard(change)
    }
    // What fails here is asked again at the next reset; reads tell why.
    if (news.isReset) this.#merging?.lookAgain((key) => this.#row(key)).catch(() => {})
    this.#news.emit({ ...news, isOtherState })
  }

  #event(news: HeardNews, selected: TableSelection): TableEvent<K, V> | undefined {
    const { isReset, isOtherState, state } = news
    const about = news.changes.filter(
      ({ before, after }) =>
        isSelected(before, selected, this.#definition) || isSelected(after, selected, this.#definition),
    )
    if (about.length === 0 && !isReset && !isOtherState && news.changes.length > 0) return undefined
    try {
      return { changes: about.map((change) => this.#change(change)), isReset, state }
    } catch {
      // What cannot be decoded: whoever reads again is told.
      return { changes: [], isReset: true, state }
    }
  }

  #change({ key, before, after, rolledBack }: TableChange): EntryChange<K, V> {
    const entryOf = (row: TableRow | null) => (row && row.value !== null ? this.#entry(row) : undefined)
    return {
      key: this.#decoded(this.key, key, 'a key'),
      before: entryOf(before),
      after: entryOf(after),
      ...(rolledBack && { rolledBack: { id: rolledBack.id, error: OttlaError.fromInfo(rolledBack.error) } }),
    }
  }

  #send(key: K, value: V | null): Receipt {
    const { clock, random } = this.#parts
    const record = encodeMessage(this, { key, value }, clock)
    const encodedKey = record.key
    if (!encodedKey) throw new OttlaError('INVALID_ARGUMENT', { message: `a row of ${this.name} needs a key` })
    if (!this.#isKept(encodedKey)) throw notKept(this.name)
    const id = randomUuid(random)
    if (!this.#merging) return this.#enqueue(id, encodedKey, record.value)
    const receipt = this.#newReceipt(id)
    void this.#row(encodedKey).then(
      (row) => this.#enqueueFrom(this.#merging!.baseOf(encodedKey, row), encodedKey, record.value, receipt),
      (failure: unknown) => receipt.rejectBoth(asOttlaError(failure, 'STORAGE_FAILED')),
    )
    return receipt
  }

  #enqueueFrom(base: Base, key: Uint8Array, value: Uint8Array | null, receipt: OpenReceipt): void {
    const { id } = receipt
    this.#merging!.wrote(key, { id, base, local: value })
    const mark = string.encode(`${id} ${base.partition} ${base.offset}`)
    this.#enqueue(id, key, value, [{ key: WRITE_ID_HEADER, value: mark }], receipt)
    receipt.stored.then(
      () => this.#merging!.stored(key, id),
      () => this.#merging!.dropped(key, id),
    )
    receipt.committed.then(
      (place) => this.#merging!.committed(key, id, place),
      // A write that the outbox has given up is told of by the table.
      () => {},
    )
  }

  #newReceipt(id: string): OpenReceipt {
    const receipt = new OpenReceipt()
    receipt.id = id
    return receipt
  }

  #enqueue(
    id: string,
    key: Uint8Array,
    value: Uint8Array | null,
    headers: readonly RecordHeader[] = [],
    receipt = this.#newReceipt(id),
  ): Receipt {
    const { core, settlements, clock } = this.#parts
    const batch = encodeBatch([{ key, value, headers, timestamp: clock.now() }])
    settlements.expect(id, (settled) => settleReceipts([receipt], settled))
    core.enqueue({ id, topic: this.name, partition: null, batch }).then(
      ({ durability }) => receipt.resolveStored(durability),
      (thrown: unknown) => {
        settlements.forget(id)
        receipt.rejectBoth(asOttlaError(thrown, 'STORAGE_FAILED'))
      },
    )
    return receipt
  }

  #mergingWith(merge: NonNullable<TableOptions<K, V>['merge']>): Merging {
    const decode = (bytes: Uint8Array | null | undefined) =>
      bytes ? this.#decoded(this.value, bytes, 'a value') : undefined
    return new Merging({
      merge: (base, local, remote, key) => {
        try {
          const merged = merge(decode(base), decode(local), decode(remote), this.key.decode(key))
          return merged === undefined ? null : this.value.encode(merged)
        } catch (failure) {
          // Reads tell of what cannot be decoded; what the function throws is reported.
          if (!(failure instanceof OttlaError)) void Promise.reject(failure)
          return local
        }
      },
      write: (id, key, value, base) => this.#enqueueFrom(base, key, value, this.#newReceipt(id)),
    })
  }
}

async function whenReachable<T>(core: Core, signal: AbortSignal | undefined, act: () => Promise<T>): Promise<T> {
  for (;;) {
    const wasLive = core.status().connection.phase === 'live'
    try {
      return await act()
    } catch (error) {
      if (wasLive || !(error instanceof OttlaError) || error.code !== 'DISCONNECTED') throw error
      await untilLive(core, signal)
    }
  }
}

function untilLive(core: Core, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const look = () => {
      const { phase } = core.status().connection
      if (phase !== 'live' && phase !== 'closed' && !signal?.aborted) return
      unlisten()
      signal?.removeEventListener('abort', look)
      if (signal?.aborted) reject(abortError('opening a table', signal))
      else if (phase === 'live') resolve()
      else reject(new OttlaError('CLOSED', { message: 'the client was closed while a table was being opened' }))
    }
    const unlisten = core.onStatus(look)
    signal?.addEventListener('abort', look)
    look()
  })
}

function checkIndexes(topic: string, indexes: Record<string, string>): void {
  for (const [name, path] of Object.entries(indexes)) {
    if (typeof path === 'string' && path !== '' && name !== '') continue
    throw new OttlaError('INVALID_ARGUMENT', {
      message: `the index '${name}' of ${topic} needs a path into its values, such as 'customer.city'`,
    })
  }
}
