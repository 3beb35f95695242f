/**
 * The outbox as this context knows it: every row without its bytes, and what became of each write.
 *
 * Invariant: a row enters when its store unit is complete and leaves when its end is known. Only the holder of the
 * store's token has a ledger that is followed, so it needs no reading back.
 */
import type { OutboxDepth, OutboxEntry, OutboxEntryState, Settled } from '../core.ts'
import type { ErrorInfo } from '../errors.ts'
import type { OutboxRow, SettledWrite } from '../replica/store-outbox.ts'

/** Where a row stands in this context. waiting: not sealed yet. */
export type RowPhase = 'waiting' | 'sealed' | 'parked' | 'unknown'

export interface LedgerRow extends Omit<OutboxRow, 'batch' | 'state'> {
  sizeBytes: number
  isCompressed: boolean
  /** The partition it goes to: as asked for, or as chosen by key. null before. */
  goesTo: number | null
  phase: RowPhase
  /** A store unit about this row is under way: nobody else may begin one. */
  isBusy: boolean
  /** How many rows may share a batch with it; halved after a refusal to find the record at fault. */
  sharedWithMax: number
  /** Kept while there is room; else it is read from the store when it is sent. */
  batch: Uint8Array | undefined
}

const PENDING_OFFSET = -2
const CACHED_BYTES_MAX = 8 * 1024 * 1024
const SETTLED_AGE_MS_MAX = 25 * 3_600_000

export class OutboxLedger {
  readonly rows = new Map<number, LedgerRow>()
  #keysOfWrite = new Map<string, Set<number>>()
  /** Also holds writes of which some parts are still under way; those are never forgotten. */
  #settled = new Map<string, SettledWrite>()
  readonly #settledWritesMax: number
  #cachedBytes = 0
  #sizeBytes = 0
  #recordCount = 0

  /** So many settled writes are remembered, for at most a day and an hour. */
  constructor(settledWritesMax: number) {
    this.#settledWritesMax = settledWritesMax
  }

  get sizeBytes(): number {
    return this.#sizeBytes
  }

  get recordCount(): number {
    return this.#recordCount
  }

  /** `row.batch` is kept only while there is room. */
  add(row: OutboxRow, isCompressed: boolean): LedgerRow {
    const { batch, state, ...rest } = row
    const entry: LedgerRow = {
      ...rest,
      sizeBytes: batch.length,
      isCompressed,
      goesTo: row.partition,
      phase: state === 'transaction' ? 'waiting' : state,
      isBusy: false,
      sharedWithMax: Number.POSITIVE_INFINITY,
      batch: undefined,
    }
    this.cache(entry, batch)
    this.#sizeBytes += batch.length
    this.#recordCount += row.recordCount
    this.rows.set(row.key, entry)
    const keys = this.#keysOfWrite.get(row.id)
    if (keys) keys.add(row.key)
    else this.#keysOfWrite.set(row.id, new Set([row.key]))
    return entry
  }

  /** Keeps bytes that were read from the store, while there is room. */
  cache(row: LedgerRow, batch: Uint8Array): void {
    if (row.batch || this.#cachedBytes + batch.length > CACHED_BYTES_MAX) return
    row.batch = batch
    this.#cachedBytes += batch.length
  }

  /** A write whose records went to several partitions becomes several rows. */
  replace(row: LedgerRow, parts: readonly OutboxRow[]): void {
    for (const part of parts) this.add(part, row.isCompressed)
    this.remove(row)
  }

  remove(row: LedgerRow): void {
    if (!this.rows.delete(row.key)) return
    this.#sizeBytes -= row.sizeBytes
    this.#recordCount -= row.recordCount
    if (row.batch) this.#cachedBytes -= row.sizeBytes
    const keys = this.#keysOfWrite.get(row.id)
    keys?.delete(row.key)
    if (keys?.size === 0) this.#keysOfWrite.delete(row.id)
  }

  rowsOf(id: string): LedgerRow[] {
    return [...(this.#keysOfWrite.get(id) ?? [])].map((key) => this.rows.get(key)!)
  }

  isKnown(id: string): boolean {
    return this.#keysOfWrite.has(id) || this.#settled.has(id)
  }

  get settledWrites(): SettledWrite[] {
    return [...this.#settled.values()]
  }

  restoreSettled(writes: readonly SettledWrite[]): void {
    for (const write of [...writes].sort((a, b) => a.atMs - b.atMs)) this.#remember(write)
  }

  /** Notes that `row` is in the log. Call before the row is removed. */
  noteCommitted(row: LedgerRow, { partition, baseOffset, isRelaxed }: Landing, atMs: number): SettledWrite {
    const { id, part } = row
    const write: SettledWrite = part
      ? withPart(this.#settled.get(id), { row, indexes: part.indexes, partition, baseOffset, atMs })
      : { id, atMs, recordCount: row.recordCount, partitions: [partition], offsets: [baseOffset] }
    if (isRelaxed || (part && this.#settled.get(id)?.isRelaxed)) write.isRelaxed = true
    this.#remember(write)
    return write
  }

  /** What to tell of a write, once every part of it has come to an end; undefined before. */
  settlementOf(id: string): Settled | undefined {
    const rows = this.rowsOf(id)
    if (rows.some(({ phase }) => phase === 'waiting' || phase === 'sealed')) return undefined
    const unfinished = rows.find(({ phase }) => phase === 'unknown') ?? rows[0]
    if (unfinished) {
      return { id, outcome: unfinished.phase as 'parked' | 'unknown', error: unfinished.error! }
    }
    const write = this.#settled.get(id)
    return write && committed(write)
  }

  /** Forgets finished writes beyond the limits; returns their ids, to be taken out of the store. */
  forgetOldSettled(nowMs: number): string[] {
    const forgotten: string[] = []
    for (const [id, { atMs }] of this.#settled) {
      if (this.#settled.size <= this.#settledWritesMax && nowMs - atMs <= SETTLED_AGE_MS_MAX) break
      if (this.#keysOfWrite.has(id)) continue
      this.#settled.delete(id)
      forgotten.push(id)
    }
    return forgotten
  }

  /** Oldest first, pending before parked. */
  entries(topic?: string): OutboxEntry[] {
    const entries: OutboxEntry[] = []
    for (const id of this.#keysOfWrite.keys()) {
      const rows = this.rowsOf(id)
      if (topic === undefined || rows.some((row) => row.topic === topic)) entries.push(entryOf(rows))
    }
    const waitsForPerson = ({ state }: OutboxEntry) => Number(state === 'parked' || state === 'unknown')
    return entries.sort((a, b) => waitsForPerson(a) - waitsForPerson(b))
  }

  depth(): OutboxDepth {
    return depthOf(this.rows.values())
  }

  /** In one pass over all rows. */
  depthByTopic(): Map<string, OutboxDepth> {
    const rowsOfTopic = new Map<string, LedgerRow[]>()
    for (const row of this.rows.values()) {
      const rows = rowsOfTopic.get(row.topic)
      if (rows) rows.push(row)
      else rowsOfTopic.set(row.topic, [row])
    }
    return new Map([...rowsOfTopic].map(([topic, rows]) => [topic, depthOf(rows)]))
  }

  #remember(write: SettledWrite): void {
    this.#settled.delete(write.id)
    this.#settled.set(write.id, write)
  }
}

const STATE_OF_PHASE: Record<RowPhase, OutboxEntryState> = {
  waiting: 'pending',
  sealed: 'in-flight',
  parked: 'parked',
  unknown: 'unknown',
}

function entryOf(rows: readonly LedgerRow[]): OutboxEntry {
  const first = rows[0]!
  const worst = rows.find(({ phase }) => phase === 'unknown') ?? rows.find(({ phase }) => phase === 'parked') ?? first
  const isSplit = rows.some(({ goesTo, topic }) => goesTo !== first.goesTo || topic !== first.topic)
  const transaction = first.transaction && { topics: [...new Set(rows.map(({ topic }) => topic))] }
  return {
    ...(transaction && { transaction }),
    id: first.id,
    topic: first.topic,
    partition: isSplit ? null : first.goesTo,
    state: STATE_OF_PHASE[worst.phase],
    recordCount: rows.reduce((sum, row) => sum + row.recordCount, 0),
    sizeBytes: rows.reduce((sum, row) => sum + row.sizeBytes, 0),
    storedAtMs: first.storedAtMs,
    error: worst.error,
  }
}

export function asParked(row: LedgerRow, phase: 'parked' | 'unknown', error: ErrorInfo): void {
  row.phase = phase
  row.error = error
}

function depthOf(rows: Iterable<LedgerRow>): OutboxDepth {
  let [pendingRecords, pendingBytes] = [0, 0]
  const pendingIds = new Set<string>()
  const parkedIds = new Set<string>()
  for (const { id, phase, recordCount, sizeBytes } of rows) {
    if (phase === 'parked' || phase === 'unknown') {
      parkedIds.add(id)
      continue
    }
    pendingIds.add(id)
    pendingRecords += recordCount
    pendingBytes += sizeBytes
  }
  return { pendingEntries: pendingIds.size, pendingRecords, pendingBytes, parkedEntries: parkedIds.size }
}

/** Where a batch ended. */
export interface Landing {
  partition: number
  /** -1: somewhere. */
  baseOffset: number
  isRelaxed: boolean
}

interface CommittedPart {
  row: LedgerRow
  indexes: readonly number[]
  partition: number
  baseOffset: number
  atMs: number
}

function withPart(before: SettledWrite | undefined, { row, indexes, partition, baseOffset, atMs }: CommittedPart) {
  const recordCount = row.part?.recordCountOfAll ?? row.recordCount
  const partitions = before ? [...before.partitions] : new Array<number>(recordCount).fill(-1)
  const offsets = before ? [...before.offsets] : new Array<number>(recordCount).fill(PENDING_OFFSET)
  indexes.forEach((recordIndex, index) => {
    partitions[recordIndex] = partition
    offsets[recordIndex] = baseOffset < 0 ? -1 : baseOffset + index
  })
  return { id: row.id, atMs, recordCount, partitions, offsets }
}

/** A write that went to one partition as a whole is kept as its first offset alone. */
function committed({ id, recordCount, partitions, offsets, isRelaxed }: SettledWrite): Settled {
  const level = isRelaxed ? { isRelaxed } : {}
  if (partitions.length === recordCount && recordCount !== 1) {
    return { id, outcome: 'committed', partitions, offsets, ...level }
  }
  const [partition, baseOffset] = [partitions[0]!, offsets[0]!]
  return {
    id,
    outcome: 'committed',
    partitions: new Array<number>(recordCount).fill(partition),
    offsets: Array.from({ length: recordCount }, (_, index) => (baseOffset < 0 ? -1 : baseOffset + index)),
    ...level,
  }
}
