/**
 * One table, in the context that has the replica: takes in what the replica gets, and keeps what readers see.
 *
 *   replica's chunks -> records -> (rows, index entries, position) in one step -> news
 *   outbox's writes  -> pending rows over them --------------------------------> news
 *
 * Invariants: everything happens in turns, so a reader never sees half of a step; the position lies with the rows, and a
 * step that finds another position than it believes in changes nothing. Whatever makes the rows doubtful (the log was
 * truncated, chunks are gone that were not taken in, tombstones may be) has one answer: the partition is read anew under a
 * new build number, and what is not found again goes at its end. The rows stay readable meanwhile.
 */
import type { CodecRegistry } from '../../protocol/compression.ts'
import type { Timer } from '../../protocol/lib/clock.ts'
import type { RawRecord } from '../../protocol/records.ts'
import { decodePieces } from '../consumer/decode-frame.ts'
import type { ExportedEntry, ReplicaPolicy, ReplicaRange, Settled } from '../core.ts'
import { asOttlaError, type ErrorInfo } from '../errors.ts'
import { covers, filterOf, matcherOf } from '../key-filter.ts'
import { recordsIn } from '../outbox/exported-records.ts'
import { StoreError } from '../replica/store-error.ts'
import {
  emptyChange,
  foldIndexing,
  foldRecords,
  foldRemoval,
  type Indexes,
  lastOfEachKey,
  type StoredRow,
} from './fold.ts'
import { textOf } from './key-order.ts'
import { NewsDesk } from './news-desk.ts'
import { PendingWrites, writeMarkOf } from './pending.ts'
import type {
  PassedRecord,
  TableChange,
  TableDefinition,
  TableNews,
  TablePage,
  TableRead,
  TableRow,
  TableSelection,
  TableState,
} from './seam.ts'
import type { TableSource } from './source.ts'
import type { RowChange, StoredTable, TablePosition, TableStore } from './store.ts'
import { Turns } from './turns.ts'
import { countRows, isSameRow, readPage, shownOf } from './view-reads.ts'

/** Records of one step: each reads and writes a row of its own. */
const STEP_RECORDS = 500
const PAGE_ROWS = 500
const LOOK_EVERY_MS = 60_000
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
  readonly #turns = new Turns()
  readonly #pending = new PendingWrites()
  readonly #desk: NewsDesk
  readonly #positions = new Map<number, TablePosition>()
  /** Those in force: rows are kept in them from now on, complete or not. */
  #indexes: Indexes
  #table: StoredTable | undefined
  #indexing: Promise<void> = Promise.resolve()
  /** The generation that each partition was in when it was to begin again. */
  readonly #beginning = new Map<number, number>()
  #running: Promise<void> | undefined
  /** What was asked for: the filters of all who have opened the table. */
  readonly #wanted = new Set<string | undefined>()
  #isWoken = false
  #isOpen = false
  #timer: Timer | undefined
  #failures = 0
  #error: ErrorInfo | null = null
  #isClosed = false

  constructor(parts: ViewParts, definition: TableDefinition) {
    this.#parts = parts
    this.#definition = definition
    this.#indexes = definition.indexes
    this.topic = definition.topic
    this.#desk = new NewsDesk(parts.source.clock, (changes, isReset) =>
      parts.tell({ topic: this.topic, changes, isReset, state: this.state() }),
    )
  }

  /** Rejects UNKNOWN_TOPIC, or DISCONNECTED when offline and never heard of; STORAGE_FAILED. */
  async open(): Promise<void> {
    const ranges = await this.keep(this.#definition.policy)
    await this.#turns.take(() => this.#load(ranges[0]?.topicId ?? ''))
    await this.#restore(({ state }) => state === 'pending' || state === 'in-flight')
    this.#indexing = this.#buildIndexes()
    this.#indexing.catch((failure: unknown) => this.#failed(failure))
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

  state(): TableState {
    const ranges = this.#parts.source.ranges(this.topic)
    const isReady = ranges.length > 0 && ranges.every((range) => this.#isWhole(range))
    const isUpToDate =
      isReady &&
      ranges.every(({ partition, end, upToDate, generation }) => {
        const position = this.#positions.get(partition)!
        return upToDate && position.generation === generation && position.nextOffset >= end
      })
    return { isReady, isUpToDate, error: this.#error }
  }

  /** All that was asked for of the partition has been taken in once. */
  #isWhole({ partition, filter }: ReplicaRange): boolean {
    const position = this.#positions.get(partition)
    if (!position?.isComplete || position.filter !== filter) return false
    return [...this.#wanted].every((wanted) => covers(filter, wanted))
  }

  /** More indexes, or others under the same name. */
  async addIndexes(indexes: Indexes): Promise<void> {
    const isNews = Object.entries(indexes).some(([name, path]) => this.#indexes[name] !== path)
    if (!isNews) return
    await this.#indexing.catch(() => {})
    this.#indexes = { ...this.#indexes, ...indexes }
    this.#indexing = this.#buildIndexes()
    this.#indexing.catch((failure: unknown) => this.#failed(failure))
  }

  async read(read: TableRead): Promise<TablePage> {
    if (read.index !== null) await this.#indexing
    return this.#turns.take(() => readPage(this.#readable(), read))
  }

  async count(selection: TableSelection): Promise<number> {
    if (selection.index !== null) await this.#indexing
    return this.#turns.take(() => countRows(this.#readable(), selection))
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

  /** An entry was stored in the outbox; records of other topics are null. */
  async stored(id: string, records: ReadonlyArray<RawRecord | null>): Promise<void> {
    await this.#turns.take(async () => {
      const shownBefore = await this.#shown(keysOf(records))
      this.#pending.add(id, records)
      this.#desk.tell(await this.#changes(shownBefore))
    })
  }

  async settled(settled: Settled): Promise<void> {
    const { id } = settled
    if (!this.#pending.knows(id)) return
    await this.#turns.take(async () => {
      if (settled.outcome === 'committed') {
        this.#pending.landed(id, settled.partitions, settled.offsets)
        const isSomewhere = settled.offsets.some((offset) => offset < 0)
        return isSomewhere ? this.#uncover(() => this.#pending.end(id)) : this.#uncoverTakenIn()
      }
      const rolledBack = { id, error: settled.error }
      await this.#uncover(() => this.#pending.end(id), rolledBack)
    })
  }

  /** A parked entry goes back into its queue. */
  async retried(id: string): Promise<void> {
    this.#pending.reopen(id)
    await this.#restore((entry) => entry.id === id)
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#timer?.cancel()
    this.#desk.close()
    await this.#running
    await this.#turns.settled()
  }

  #readable() {
    return { topicId: this.#table!.topicId, store: this.#parts.store, pending: this.#pending, indexes: this.#indexes }
  }

  async #load(topicId: string): Promise<void> {
    const { store } = this.#parts
    const stored = await store.load(this.topic)
    this.#positions.clear()
    if (stored?.table.topicId === topicId) {
      this.#table = stored.table
      for (const position of stored.positions) this.#positions.set(position.partition, position)
      return
    }
    // Made anew under the same name: nothing of the old topic is shown as the new one's.
    if (stored) await store.dropTable(stored.table.topicId)
    this.#table = { topicId, topic: this.topic, indexes: {} }
    await store.putTable(this.#table)
  }

  /** Somebody else has moved the table on, or the database was cleared. */
  async #loadAgain(): Promise<void> {
    // What fails here fails again at the next look, and is told then.
    await this.#turns.take(() => this.#load(this.#table!.topicId)).catch(() => {})
    this.#desk.reset()
  }

  /** From the outbox: writes of an earlier life, or of before the table was opened. */
  async #restore(isWanted: (entry: ExportedEntry) => boolean): Promise<void> {
    const records = new Map<string, Array<RawRecord | null>>()
    for (const entry of (await this.#parts.source.waiting()).filter(isWanted)) {
      const isOurs = entry.topic === this.topic
      const own = isOurs ? await recordsIn(entry.batch, this.#parts.codecs) : new Array(entry.recordCount).fill(null)
      records.set(entry.id, [...(records.get(entry.id) ?? []), ...own])
    }
    for (const [id, all] of records) if (all.some((record) => record !== null)) await this.stored(id, all)
  }

  /** Resolves with the time until there may be something to do though nobody says so. */
  async #run(): Promise<number> {
    try {
      do {
        this.#isWoken = false
        for (const range of this.#parts.source.ranges(this.topic)) {
          if (this.#isClosed) return LOOK_EVERY_MS
          if (await this.#step(range)) this.#isWoken = true
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

  async #failed(failure: unknown): Promise<void> {
    if (this.#isClosed) return
    const isMoved = failure instanceof StoreError && failure.kind === 'fenced'
    if (isMoved) await this.#loadAgain()
    else
      this.#error = (failure instanceof StoreError ? failure.toOttlaError() : asOttlaError(failure, 'CORRUPT')).toInfo()
    this.#desk.stateMayHaveChanged(this.state())
    this.#isWoken = false
  }

  #later(delayMs: number): void {
    this.#timer?.cancel()
    if (!this.#isClosed) this.#timer = this.#parts.source.clock.setTimer(delayMs, () => this.wake())
  }

  /** Takes a partition on by a piece. False when there is nothing to do. */
  async #step(range: ReplicaRange): Promise<boolean> {
    if (range.topicId !== this.#table!.topicId) return this.#recreated(range.topicId)
    const position = this.#positions.get(range.partition)
    const place = this.#placeToGoOn(range, position)
    if (!place) return false
    if (position && place.build !== position.build) return this.#readAnew(position, place)
    if (place.nextOffset < range.end) return this.#takeIn(range, place)
    return this.#finish(range, place)
  }

  async #recreated(topicId: string): Promise<boolean> {
    await this.#turns.take(() => this.#load(topicId))
    this.#desk.reset()
    this.#indexing = this.#buildIndexes()
    await this.#indexing
    return true
  }

  /** Where to go on; undefined while the partition is not there yet or begins again. */
  #placeToGoOn(range: ReplicaRange, position: TablePosition | undefined): TablePosition | undefined {
    const { topicId, partition, start, end, generation, relayEnd, filter } = range
    const logStart = this.#parts.source.logStart(topicId, partition)
    const isWhole = start <= logStart
    if (!position) {
      if (end === 0 && relayEnd < 0) return undefined
      if (!isWhole) return this.#beginAgain(range)
      const fresh = { nextOffset: start, generation, build: 1, isComplete: false, logStart, upToDateAtMs: 0, filter }
      return { topicId, partition, ...fresh }
    }
    const isOther = position.generation !== generation || position.filter !== filter
    const isDoubtful = isOther || (position.nextOffset < start && !isWhole)
    if (isDoubtful && isWhole) {
      return { ...position, generation, filter, nextOffset: start, build: position.build + 1, isComplete: false }
    }
    if (isDoubtful || this.#mayHaveMissedTombstones(position)) return this.#beginAgain(range)
    return { ...position, nextOffset: Math.max(position.nextOffset, start) }
  }

  #mayHaveMissedTombstones({ isComplete, upToDateAtMs }: TablePosition): boolean {
    const { source } = this.#parts
    if (!isComplete || upToDateAtMs === 0 || !source.isLive()) return false
    return source.clock.now() - upToDateAtMs > this.#definition.tombstonesKeptMs
  }

  #beginAgain({ topicId, partition, generation }: ReplicaRange): undefined {
    if (this.#beginning.get(partition) === generation) return undefined
    this.#beginning.set(partition, generation)
    this.#parts.source.beginAgain(topicId, partition)
    return undefined
  }

  async #readAnew(position: TablePosition, place: TablePosition): Promise<boolean> {
    await this.#turns.take(() => this.#change([], position, () => emptyChange(place)))
    this.#desk.reset()
    return true
  }

  async #takeIn(range: ReplicaRange, from: TablePosition): Promise<boolean> {
    const { source, codecs } = this.#parts
    const { topicId, partition } = range
    const [chunk] = await source.readReplica(topicId, partition, from.nextOffset, 1)
    if (!chunk) return false
    const { batches, nextOffset, aborted = [] } = chunk
    const matches = from.filter === undefined ? undefined : matcherOf(from.filter)
    const stretch = { partition, fromOffset: from.nextOffset, nextOffset }
    const frame = { ...stretch, batches, aborted, matches, gap: undefined, release() {} }
    let records: RawRecord[] = []
    let place = from
    // One piece behind: the last takes the position to the end of the chunk.
    for await (const piece of decodePieces(frame, codecs, STEP_RECORDS)) {
      if (records.length > 0) place = await this.#takeInPiece(records, place, records.at(-1)!.offset + 1)
      if (this.#isClosed) return false
      records = piece
    }
    await this.#takeInPiece(records, place, Math.max(nextOffset, from.nextOffset))
    source.takenIn(topicId, partition, this.#positions.get(partition)!.nextOffset)
    return true
  }

  #takeInPiece(records: readonly RawRecord[], place: TablePosition, nextOffset: number): Promise<TablePosition> {
    return this.#turns.take(async () => {
      const { partition } = place
      const next = { ...place, nextOffset }
      const last = lastOfEachKey(records)
      const shownBefore = new Map<string, ShownRow>()
      let change = emptyChange(next)
      await this.#change(
        last.map(({ key }) => key!),
        this.#positions.get(partition) ?? null,
        (rows) => {
          last.forEach(({ key }, index) => {
            shownBefore.set(textOf(key!), {
              key: key!.slice(),
              shown: shownOf(this.#pending.newest(key!), rows[index]),
            })
          })
          change = foldRecords(last, rows, next, this.#indexes)
          return change
        },
      )
      const passed = this.#passed(records, partition)
      for (const key of this.#keysLanded(partition, nextOffset)) {
        const text = textOf(key)
        if (!shownBefore.has(text)) shownBefore.set(text, { key, shown: shownOf(this.#pending.newest(key), undefined) })
      }
      this.#pending.takenIn(partition, nextOffset)
      if (next.isComplete) this.#desk.tell(await this.#changes(shownBefore, undefined, passed))
      else this.#desk.reset()
      return next
    })
  }

  #keysLanded(partition: number, nextOffset: number): Uint8Array[] {
    return [...this.#pending.all()]
      .filter(({ landed }) => landed?.partition === partition && landed.offset < nextOffset)
      .map(({ key }) => key)
  }

  /** Of the keys that have pending writes. */
  #passed(records: readonly RawRecord[], partition: number): Map<string, PassedRecord[]> {
    const passed = new Map<string, PassedRecord[]>()
    for (const record of records) {
      if (!record.key || !this.#pending.newest(record.key)) continue
      const { offset, value } = record
      const text = textOf(record.key)
      const one = { partition, offset, value: value?.slice() ?? null, writeId: writeMarkOf(record)?.id ?? null }
      passed.set(text, [...(passed.get(text) ?? []), one])
    }
    return passed
  }

  /** At the replica's end: what was not found again goes, and what the log no longer has. */
  async #finish(range: ReplicaRange, place: TablePosition): Promise<boolean> {
    if (!range.upToDate) return false
    const { source } = this.#parts
    const logStart = source.logStart(range.topicId, range.partition)
    const nowMs = source.clock.now()
    const isNews = !place.isComplete || logStart > place.logStart
    if (isNews) {
      await this.#sweep(place, ({ build, offset }) => build !== place.build || offset < logStart)
    } else if (nowMs - place.upToDateAtMs < LOOK_EVERY_MS) return false
    await this.#turns.take(async () => {
      const before = this.#positions.get(range.partition) ?? null
      await this.#change([], before, () => emptyChange({ ...place, logStart, isComplete: true, upToDateAtMs: nowMs }))
    })
    source.takenIn(range.topicId, range.partition, place.nextOffset)
    if (!place.isComplete) this.#desk.reset()
    return isNews
  }

  async #sweep(place: TablePosition, isGone: (row: StoredRow) => boolean): Promise<void> {
    const isOurs = (row: StoredRow) => row.partition === place.partition && isGone(row)
    for await (const page of this.#allRows()) {
      const keys = page.filter(isOurs).map(({ key }) => key)
      if (keys.length === 0) continue
      await this.#turns.take(async () => {
        const shownBefore = await this.#shown(keys)
        const position = this.#positions.get(place.partition) ?? null
        await this.#change(keys, position, (rows) =>
          foldRemoval(rows.filter((row) => row !== undefined).filter(isOurs), position ?? place, this.#indexes),
        )
        if (place.isComplete) this.#desk.tell(await this.#changes(shownBefore))
      })
    }
  }

  async *#allRows(): AsyncGenerator<StoredRow[]> {
    const { store } = this.#parts
    const all = { topicId: this.#table!.topicId, index: null, from: null, to: null, isReverse: false }
    for (let after: TableRead['after'] = null; ; ) {
      const page = await store.page({ ...all, after, countMax: PAGE_ROWS })
      yield page.map(({ row }) => row)
      if (page.length < PAGE_ROWS || this.#isClosed) return
      const { key } = page.at(-1)!.row
      after = { at: key, key }
    }
  }

  /** Entries are kept from now on; those of the rows that are there are made, a page at a time. */
  async #buildIndexes(): Promise<void> {
    const { store } = this.#parts
    const [table, wanted] = [this.#table!, this.#indexes]
    const isComplete = (name: string) => table.indexes[name] === wanted[name]
    const names = new Set([...Object.keys(table.indexes), ...Object.keys(wanted)])
    const outdated = [...names].filter((name) => !isComplete(name))
    if (outdated.length === 0) return
    await this.#turns.take(async () => {
      const kept = Object.fromEntries(Object.entries(table.indexes).filter(([name]) => isComplete(name)))
      await this.#putTable({ ...table, indexes: kept })
      for (const name of outdated) await store.dropIndex(table.topicId, name)
    })
    const missing = Object.fromEntries(Object.entries(wanted).filter(([name]) => !isComplete(name)))
    if (Object.keys(missing).length > 0) for await (const page of this.#allRows()) await this.#indexPage(page, missing)
    if (!this.#isClosed) await this.#turns.take(() => this.#putTable({ ...this.#table!, indexes: wanted }))
  }

  async #indexPage(page: readonly StoredRow[], missing: Indexes): Promise<void> {
    for (const partition of new Set(page.map((row) => row.partition))) {
      const keys = page.filter((row) => row.partition === partition).map(({ key }) => key)
      await this.#turns.take(async () => {
        const position = this.#positions.get(partition)
        if (!position) return
        await this.#change(keys, position, (rows) =>
          foldIndexing(
            rows.filter((row) => row !== undefined),
            position,
            missing,
          ),
        )
      })
    }
  }

  async #putTable(table: StoredTable): Promise<void> {
    this.#table = table
    await this.#parts.store.putTable(table)
  }

  /** Within a turn. */
  async #change(
    keys: readonly Uint8Array[],
    expected: TablePosition | null,
    compute: (rows: ReadonlyArray<StoredRow | undefined>) => RowChange,
  ): Promise<void> {
    let position: TablePosition | undefined
    await this.#parts.store.change(this.#table!.topicId, keys, expected, (rows) => {
      const change = compute(rows)
      position = change.position
      return change
    })
    if (position) this.#positions.set(position.partition, position)
  }

  async #uncoverTakenIn(): Promise<void> {
    for (const { partition, nextOffset } of this.#positions.values()) {
      await this.#uncover(() => this.#pending.takenIn(partition, nextOffset))
    }
  }

  async #uncover(take: () => Uint8Array[], rolledBack?: TableChange['rolledBack']): Promise<void> {
    const covered = new Map([...this.#pending.all()].map((record) => [textOf(record.key), record]))
    const keys = take()
    const rows = await this.#rowsOf(keys)
    const shownBefore = new Map<string, ShownRow>()
    keys.forEach((key, index) => {
      const text = textOf(key)
      shownBefore.set(text, { key, shown: shownOf(covered.get(text), rows[index]) })
    })
    this.#desk.tell(await this.#changes(shownBefore, rolledBack))
  }

  #rowsOf(keys: readonly Uint8Array[]): Promise<Array<StoredRow | undefined>> {
    return this.#parts.store.rows(this.#table!.topicId, keys)
  }

  async #shown(keys: readonly Uint8Array[]): Promise<Map<string, ShownRow>> {
    const rows = await this.#rowsOf(keys)
    return new Map(keys.map((key, at) => [textOf(key), { key, shown: shownOf(this.#pending.newest(key), rows[at]) }]))
  }

  async #changes(
    before: ReadonlyMap<string, ShownRow>,
    rolledBack?: TableChange['rolledBack'],
    passed?: ReadonlyMap<string, PassedRecord[]>,
  ): Promise<TableChange[]> {
    const after = await this.#shown([...before.values()].map(({ key }) => key))
    return [...before].flatMap(([text, { key, shown }]): TableChange[] => {
      const now = after.get(text)?.shown ?? null
      const records = passed?.get(text)
      if (isSameRow(shown, now) && !rolledBack && !records) return []
      return [
        { key, before: shown, after: now, ...(rolledBack && { rolledBack }), ...(records && { passed: records }) },
      ]
    })
  }
}

interface ShownRow {
  key: Uint8Array
  shown: TableRow | null
}

const keysOf = (records: ReadonlyArray<RawRecord | null>): Uint8Array[] =>
  records.flatMap((record) => (record?.key ? [record.key.slice()] : []))
