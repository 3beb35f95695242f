/**
 * A seeded life of a compacted log (keys, tombstones, codecs, producers, transactions, deletions, restarts, compactions), and
 * the reader that holds what it finds against a model: a list of all that was ever written, nothing of how a log works.
 */
import { expect } from 'vitest'
import { HandClock } from '../../../protocol/lib/clock.ts'
import type { Random } from '../../../protocol/lib/random.ts'
import { randomBelow } from '../../../protocol/lib/random.ts'
import type { CodecId } from '../../../protocol/record-batch.ts'
import { nextOffsetOf } from '../../../protocol/record-batch.ts'
import type { PartitionLog } from '../../../server/log/partition-log.ts'
import type { Files } from '../../../server/storage/files.ts'
import {
  batchesFrom,
  compact,
  type Entry,
  type FoundRecord,
  keyedBatch,
  openCompacted,
  recordsFrom,
} from './compaction-fixture.ts'
import { findings } from './log-fixture.ts'

const KEYS = 10
const PRODUCERS = 3

interface Written {
  key: string
  value: string | null
  /** Of the transaction that it belongs to. */
  transaction: Transaction | undefined
}

interface Transaction {
  producerId: number
  /** Where the marker stands; undefined while it is open. */
  markerOffset: number | undefined
  outcome: 'commit' | 'abort' | undefined
}

/** What a client of the log knows at some moment. */
export interface CompactionAccount {
  written: Map<number, Written>
  ackedEnd: number
  startMax: number
}

export const openSmallCompacted = (files: Files, clock: HandClock): Promise<PartitionLog> =>
  openCompacted({ files, clock, checkpointBytes: 1200, config: { segmentBytes: 2500, deleteRetentionMs: 5000 } })

export class CompactionWorkload {
  readonly #files: Files
  readonly #random: Random
  readonly clock = new HandClock()
  readonly account: CompactionAccount = { written: new Map(), ackedEnd: 0, startMax: 0 }
  readonly #producers = Array.from({ length: PRODUCERS }, (_, id) => ({
    id,
    sequence: 0,
    transaction: undefined as Transaction | undefined,
  }))
  #log!: PartitionLog
  #serial = 0
  compactions = 0

  constructor(files: Files, random: Random) {
    this.#files = files
    this.#random = random
  }

  snapshot(): CompactionAccount {
    const transactions = new Map<Transaction, Transaction>()
    const copyOf = (transaction: Transaction | undefined) => {
      if (!transaction) return undefined
      const copy = transactions.get(transaction) ?? { ...transaction }
      transactions.set(transaction, copy)
      return copy
    }
    const written = [...this.account.written].map(
      ([offset, each]) => [offset, { ...each, transaction: copyOf(each.transaction) }] as const,
    )
    return { ...this.account, written: new Map(written) }
  }

  async run(steps: number): Promise<void> {
    this.#log = await openSmallCompacted(this.#files, this.clock)
    for (let step = 0; step < steps; step++) await this.#step()
    await this.#log.close()
  }

  /** After a disk that failed: lets go of all files. */
  async abandon(): Promise<void> {
    await this.#log?.close()
  }

  async #step(): Promise<void> {
    this.clock.advance(randomBelow(this.#random, 2000))
    const dice = this.#random.next()
    if (dice < 0.72) await this.#append()
    else if (dice < 0.86) await this.#compact()
    else if (dice < 0.9) await this.#deleteSome()
    else if (dice < 0.95) await this.#endTransactions()
    else await this.#reopen()
  }

  async #append(): Promise<void> {
    const producer = this.#producers[randomBelow(this.#random, PRODUCERS)]!
    const isTransactional = producer.transaction !== undefined || this.#random.next() < 0.2
    if (isTransactional) {
      producer.transaction ??= { producerId: producer.id, markerOffset: undefined, outcome: undefined }
    }
    const size = this.#random.next() < 0.1 ? 1500 : 20
    const entries = Array.from({ length: 1 + randomBelow(this.#random, 4) }, (): Entry => {
      const value = this.#random.next() < 0.2 ? null : `${this.#serial++}`.padEnd(size, '.')
      return [`k${randomBelow(this.#random, KEYS)}`, value]
    })
    const codec = (this.#random.next() < 0.5 ? 0 : 1 + randomBelow(this.#random, 4)) as CodecId
    const { id, sequence, transaction } = producer
    const batch = await keyedBatch(entries, { codec, producer: { id, sequence, isTransactional } })
    const { baseOffset, durable } = this.#log.append(batch)
    producer.sequence += entries.length
    entries.forEach(([key, value], index) => {
      this.account.written.set(baseOffset + index, { key: key!, value, transaction })
    })
    await durable
    this.account.ackedEnd = baseOffset + entries.length
  }

  async #endTransactions(): Promise<void> {
    for (const producer of this.#producers) {
      const { transaction } = producer
      if (!transaction) continue
      const outcome = this.#random.next() < 0.5 ? 'commit' : 'abort'
      const marker = { producerId: producer.id, producerEpoch: 0, coordinatorEpoch: 0, outcome } as const
      const { baseOffset, durable } = this.#log.appendMarker(marker)
      transaction.markerOffset = baseOffset
      transaction.outcome = outcome
      producer.transaction = undefined
      await durable
      this.account.ackedEnd = baseOffset + 1
    }
  }

  async #compact(): Promise<void> {
    await this.#endTransactions()
    if (this.#random.next() < 0.3) this.clock.advance(6000)
    // Sometimes the map is too small for the keys.
    await compact(this.#log, { mapBytesMax: this.#random.next() < 0.3 ? 1 : 100_000 })
    this.compactions++
  }

  async #deleteSome(): Promise<void> {
    const { startOffset, lastStableOffset } = this.#log
    const target = startOffset + randomBelow(this.#random, Math.min(12, lastStableOffset - startOffset) + 1)
    this.account.startMax = Math.max(this.account.startMax, target)
    await this.#log.deleteRecordsBefore(target)
  }

  async #reopen(): Promise<void> {
    await this.#log.close()
    this.#log = await openSmallCompacted(this.#files, this.clock)
  }

  check(): Promise<void> {
    return checkAgainstModel(this.#log, this.account)
  }
}

/** Opens what a crash left, reads it, compacts it to the end, and reads it again. */
export async function checkCompactedAfterCrash(files: Files, account: CompactionAccount, nowMs: number): Promise<void> {
  const clock = new HandClock(nowMs)
  let log = await openSmallCompacted(files, clock)
  const { isNew } = log.recovery
  expect(log.fault).toBeUndefined()
  expect(log.endOffset).toBeGreaterThanOrEqual(account.ackedEnd)
  expect(log.startOffset).toBeLessThanOrEqual(account.startMax)
  await checkAgainstModel(log, account)
  await compact(log)
  clock.advance(6000)
  await compact(log)
  await checkAgainstModel(log, account)
  await log.close()
  expect((await findings(files)).filter(({ severity }) => severity === 'error')).toEqual([])
  log = await openSmallCompacted(files, clock)
  expect(log.recovery).toMatchObject({ isClean: !isNew, fault: undefined, removed: [] })
  await log.close()
}

async function checkAgainstModel(log: PartitionLog, account: CompactionAccount): Promise<void> {
  await checkOffsetsAreWhole(log)
  const isDecided = ({ transaction }: Written) =>
    !transaction || (transaction.markerOffset !== undefined && transaction.markerOffset < log.endOffset)
  const isCommitted = (written: Written) => isDecided(written) && written.transaction?.outcome !== 'abort'
  const found: FoundRecord[] = []
  for (const record of await recordsFrom(log)) {
    const written = account.written.get(record.offset)
    expect(written, `offset ${record.offset}`).toMatchObject({ key: record.key, value: record.value })
    if (isCommitted(written!)) found.push(record)
  }
  const model = [...account.written]
    .filter(([offset, written]) => offset >= log.startOffset && offset < log.endOffset && isCommitted(written))
    .map(([offset, written]) => ({ offset, ...written }))
  expect(newestOf(found)).toEqual(newestOf(model))
}

/** Every offset belongs to one batch, whatever was taken out. */
async function checkOffsetsAreWhole(log: PartitionLog): Promise<void> {
  let expected = -1
  for (const { header, records } of await batchesFrom(log)) {
    if (expected >= 0) expect(header.baseOffset).toBe(expected)
    expected = nextOffsetOf(header)
    for (const { offset } of records) expect(offset).toBeLessThan(expected)
  }
  if (expected >= 0) expect(expected).toBe(log.highWatermark)
}

/** What the records come to in the end: of each key the newest value, and where it stands. */
function newestOf(records: ReadonlyArray<{ offset: number; key: string | null; value: string | null }>) {
  const newest = new Map<string, string>()
  for (const { offset, key, value } of records) {
    if (value === null) newest.delete(key!)
    else newest.set(key!, `${offset}:${value}`)
  }
  return Object.fromEntries([...newest].sort(([a], [b]) => (a < b ? -1 : 1)))
}
