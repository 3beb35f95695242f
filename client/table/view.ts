/**
 * One table, in the context that has the replica: takes in what the replica gets, and keeps what readers see.
 *
 *   replica's chunks -> following.ts -> stored-rows.ts <- index-building.ts
 *   outbox's writes  -> overlay.ts, over those rows -> news
 *
 * Here: when it is opened, when the next step is due, and what fails.
 */
import type { CodecRegistry } from '../../protocol/compression.ts'
import type { Timer } from '../../protocol/lib/clock.ts'
import type { RawRecord } from '../../protocol/records.ts'
import type { ExportedEntry, ReplicaPolicy, ReplicaRange, Settled } from '../core.ts'
import { asOttlaError, type ErrorInfo } from '../errors.ts'
import { covers, filterOf } from '../key-filter.ts'
import { recordsIn } from '../outbox/exported-records.ts'
import { StoreError } from '../replica/store-error.ts'
import type { Indexes } from './fold.ts'
import { Following, LOOK_EVERY_MS } from './following.ts'
import { buildIndexes } from './index-building.ts'
import { NewsDesk } from './news-desk.ts'
import { keysOf, Overlay } from './overlay.ts'
import type {
  OpenedTable,
  TableDefinition,
  TableNews,
  TablePage,
  TableRead,
  TableSelection,
  TableState,
} from './seam.ts'
import type { TableSource } from './source.ts'
import type { TableStore } from './store.ts'
import { type RowsAhead, StoredRows } from './stored-rows.ts'
import { countRows, readPage } from './view-reads.ts'

const RETRY_MS_MIN = 500
const RETRY_MS_MAX = 30_000

export interface ViewParts {
  source: TableSource
  store: TableStore
  codecs: CodecRegistry
  tell(news: TableNews): void
}

export class TableView {
  readonly topic: string
  readonly #parts: ViewParts
  readonly #definition: TableDefinition
  readonly #rows: StoredRows
  readonly #overlay: Overlay
  readonly #following: Following
  readonly #desk: NewsDesk
  #indexing: Promise<void> = Promise.resolve()
  #indexingAgain: Timer | undefined
  #running: Promise<void> | undefined
  /** What was asked for: the filters of all who have opened the table. */
  readonly #wanted = new Set<string | undefined>()
  /** Ends that are heard while writes are read from the outbox, for each such reading. */
  readonly #endsMeanwhile = new Set<Map<string, Settled>>()
  #isWoken = false
  #isOpen = false
  #timer: Timer | undefined
  #failures = 0
  #error: ErrorInfo | null = null
  #isClosed = false

  constructor(parts: ViewParts, definition: TableDefinition) {
    const { source, store, codecs } = parts
    this.#parts = parts
    this.#definition = definition
    this.topic = definition.topic
    this.#desk = new NewsDesk(source.clock, (changes, isReset) => {
      const opened = this.opened()
      parts.tell({ topic: this.topic, changes, isReset, ...opened })
      return opened.state
    })
    this.#rows = new StoredRows(store, this.topic, definition.indexes)
    this.#overlay = new Overlay(this.#rows, this.#desk)
    const { tombstonesKeptMs } = definition
    this.#following = new Following({
      ...{ source, codecs, tombstonesKeptMs },
      rows: this.#rows,
      overlay: this.#overlay,
      desk: this.#desk,
    })
  }

  /** Rejects UNKNOWN_TOPIC, or DISCONNECTED when offline and never heard of; STORAGE_FAILED. */
  async open(): Promise<void> {
    const ranges = await this.keep(this.#definition.policy)
    await this.#rows.turns.take(() => this.#rows.load(ranges[0]?.topicId ?? ''))
    await this.#restore(({ state }) => state === 'pending' || state === 'in-flight')
    this.#buildIndexes()
    this.#isOpen = true
    this.wake()
  }

  /** Has the topic followed, with the keys of this policy too. */
  async keep(policy: ReplicaPolicy): Promise<ReplicaRange[]> {
    const ranges = await this.#parts.source.follow(this.topic, policy)
    this.#wanted.add(filterOf(policy))
    this.wake()
    return ranges
  }

  /** As it is told to all: whoever asks hears of what comes after. */
  async welcome(definition: TableDefinition): Promise<OpenedTable> {
    await this.keep(definition.policy)
    await this.addIndexes(definition.indexes)
    this.#desk.stateMayHaveChanged(this.state())
    return this.opened()
  }

  opened(): OpenedTable {
    return { state: this.state(), bareTopicId: this.#bareTopicId() }
  }

  #bareTopicId(): string | null {
    const { store, topicId } = this.#rows
    return store.isReadByPages && this.#overlay.pending.isEmpty ? topicId : null
  }

  state(): TableState {
    const ranges = this.#parts.source.ranges(this.topic)
    const isReady = ranges.length > 0 && ranges.every((range) => this.#isWhole(range))
    const isUpToDate =
      isReady &&
      ranges.every(({ partition, end, upToDate, generation }) => {
        const position = this.#rows.position(partition)!
        return upToDate && position.generation === generation && position.nextOffset >= end
      })
    return { isReady, isUpToDate, error: this.#error }
  }

  /** All that was asked for of the partition has been taken in once. */
  #isWhole({ partition, filter }: ReplicaRange): boolean {
    const position = this.#rows.position(partition)
    if (!position?.isComplete || position.filter !== filter) return false
    return [...this.#wanted].every((wanted) => covers(filter, wanted))
  }

  /** More indexes, or others under the same name. */
  async addIndexes(indexes: Indexes): Promise<void> {
    const isNews = Object.entries(indexes).some(([name, path]) => this.#rows.indexes[name] !== path)
    if (!isNews) return
    await this.#indexing.catch(() => {})
    this.#rows.indexes = { ...this.#rows.indexes, ...indexes }
    this.#buildIndexes()
  }

  async read(definition: TableDefinition, read: TableRead): Promise<TablePage> {
    await this.#indexed(definition, read)
    return this.#rows.turns.take(async () => {
      const page = await readPage(this.#readable(), read)
      return { ...page, bareTopicId: this.#bareTopicId() }
    })
  }

  async count(definition: TableDefinition, selection: TableSelection): Promise<number> {
    await this.#indexed(definition, selection)
    return this.#rows.turns.take(() => countRows(this.#readable(), selection))
  }

  /** The replica has moved, or the connection's state has changed. */
  wake(): void {
    this.#isWoken = true
    if (this.#isClosed || this.#running || !this.#isOpen) return
    this.#timer?.cancel()
    this.#running = this.#run().then((nextLookMs) => {
      this.#running = undefined
      if (this.#isWoken) this.wake()
      else this.#later(nextLookMs)
    })
  }

  /** What a write that is being stored will lie over. */
  ahead(records: ReadonlyArray<RawRecord | null>): RowsAhead | undefined {
    return this.#rows.ahead(keysOf(records))
  }

  /** An entry was stored in the outbox; records of other topics are null. */
  async stored(id: string, records: ReadonlyArray<RawRecord | null>, ahead?: RowsAhead): Promise<void> {
    await this.#rows.turns.take(() => this.#overlay.add(id, records, ahead))
  }

  async settled(settled: Settled): Promise<void> {
    for (const ends of this.#endsMeanwhile) ends.set(settled.id, settled)
    if (!this.#overlay.pending.knows(settled.id)) return
    await this.#rows.turns.take(() => this.#overlay.settle(settled))
  }

  /** A parked entry goes back into its queue. */
  async retried(id: string): Promise<void> {
    this.#overlay.pending.reopen(id)
    await this.#restore((entry) => entry.id === id)
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#timer?.cancel()
    this.#indexingAgain?.cancel()
    this.#desk.close()
    this.#rows.close()
    await this.#running
    await this.#rows.turns.settled()
  }

  /** Of a handle that was opened at an earlier worker, and knows of an index that nobody has named to this one. */
  async #indexed({ indexes }: TableDefinition, { index }: TableSelection): Promise<void> {
    if (index === null) return
    if (!Object.hasOwn(this.#rows.indexes, index)) await this.addIndexes(indexes)
    await this.#indexing
  }

  #readable() {
    const { topicId, store, indexes } = this.#rows
    return { topicId, store, indexes, pending: this.#overlay.pending }
  }

  #buildIndexes(): void {
    this.#indexingAgain?.cancel()
    const indexing = buildIndexes(this.#rows)
    this.#indexing = indexing
    indexing.catch((failure: unknown) => {
      const isLast = indexing === this.#indexing && !this.#isClosed
      if (isLast) this.#indexingAgain = this.#parts.source.clock.setTimer(RETRY_MS_MAX, () => this.#indexAgain())
      return this.#failed(failure)
    })
  }

  /** Reads failed meanwhile: they are to be repeated. */
  #indexAgain(): void {
    this.#buildIndexes()
    this.#indexing.then(
      () => this.#desk.reset(),
      // Told, and tried again.
      () => {},
    )
  }

  /** From the outbox: writes of an earlier life, or of before the table was opened. */
  async #restore(isWanted: (entry: ExportedEntry) => boolean): Promise<void> {
    const ends = new Map<string, Settled>()
    this.#endsMeanwhile.add(ends)
    try {
      for (const [id, records] of await this.#waiting(isWanted)) {
        await this.stored(id, records)
        // Whoever told of the end told one who did not know of the beginning.
        const end = ends.get(id)
        if (end) await this.settled(end)
      }
    } finally {
      this.#endsMeanwhile.delete(ends)
    }
  }

  /** The records of each entry that has some of this table; null for those of other topics. */
  async #waiting(isWanted: (entry: ExportedEntry) => boolean): Promise<Map<string, Array<RawRecord | null>>> {
    const records = new Map<string, Array<RawRecord | null>>()
    for (const entry of (await this.#parts.source.waiting()).filter(isWanted)) {
      const isOurs = entry.topic === this.topic
      const own = isOurs ? await recordsIn(entry.batch, this.#parts.codecs) : []
      // In the order in which they were written, for that is how their ends are told: parts come in any.
      const { indexes, recordCountOfAll = entry.recordCount } = entry.part ?? {}
      const all = records.get(entry.id) ?? new Array<RawRecord | null>(recordCountOfAll).fill(null)
      for (const [at, record] of own.entries()) all[indexes?.[at] ?? at] = record
      records.set(entry.id, all)
    }
    for (const [id, all] of records) if (all.every((record) => record === null)) records.delete(id)
    return records
  }

  /** Resolves with the time until there may be something to do though nobody says so. */
  async #run(): Promise<number> {
    try {
      do {
        this.#isWoken = false
        for (const range of this.#parts.source.ranges(this.topic)) {
          if (this.#isClosed) return LOOK_EVERY_MS
          const isOurs = range.topicId === this.#rows.topicId
          if (isOurs ? await this.#following.step(range) : await this.#recreated(range.topicId)) this.#isWoken = true
        }
      } while (this.#isWoken && !this.#isClosed)
      this.#failures = 0
      if (this.#error) this.#error = null
      this.#desk.stateMayHaveChanged(this.state())
      return LOOK_EVERY_MS
    } catch (failure) {
      await this.#failed(failure)
      return Math.min(RETRY_MS_MAX, RETRY_MS_MIN * 2 ** Math.min(this.#failures++, 8))
    }
  }

  async #recreated(topicId: string): Promise<boolean> {
    await this.#rows.turns.take(async () => {
      await this.#rows.load(topicId)
      this.#overlay.pending.endLanded()
    })
    this.#desk.reset()
    this.#buildIndexes()
    await this.#indexing
    return true
  }

  async #failed(failure: unknown): Promise<void> {
    if (this.#isClosed) return
    const isMoved = failure instanceof StoreError && failure.kind === 'fenced'
    if (isMoved) await this.#loadAgain()
    else
      this.#error = (failure instanceof StoreError ? failure.toOttlaError() : asOttlaError(failure, 'CORRUPT')).toInfo()
    this.#desk.stateMayHaveChanged(this.state())
    this.#isWoken = false
  }

  /** Somebody else has moved the table on, or the database was cleared. */
  async #loadAgain(): Promise<void> {
    // What fails here fails again at the next look, and is told then.
    await this.#rows.turns
      .take(async () => {
        await this.#rows.load(this.#rows.topicId)
        this.#overlay.loadedAgain()
      })
      .catch(() => {})
    this.#desk.reset()
  }

  #later(delayMs: number): void {
    this.#timer?.cancel()
    if (!this.#isClosed) this.#timer = this.#parts.source.clock.setTimer(delayMs, () => this.wake())
  }
}
