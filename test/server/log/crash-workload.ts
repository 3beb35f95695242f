/**
 * A seeded workload on a log, and the checks on what a crash at any moment of it leaves behind. The workload keeps its own
 * account of what was asked and what was acknowledged; the checks compare a reopened log with that account alone.
 */
import { expect } from 'vitest'
import { HandClock } from '../../../protocol/lib/clock.ts'
import type { Random } from '../../../protocol/lib/random.ts'
import { randomBelow } from '../../../protocol/lib/random.ts'
import { DEFAULT_LOG_CONFIG } from '../../../server/log/log-config.ts'
import { openPartitionLog } from '../../../server/log/open-log.ts'
import type { LogConfig, PartitionLog } from '../../../server/log/partition-log.ts'
import type { Files } from '../../../server/storage/files.ts'
import { batchOf, TEST_TIMESTAMP, valuesIn } from '../../support/batches.ts'
import { checkTransactions, endOpenTransactions } from './transaction-model.ts'

export const LOG_DIR = '/data/log'

export const smallConfig = (): LogConfig => ({
  ...DEFAULT_LOG_CONFIG,
  segmentBytes: 6000,
  retentionBytes: 20_000,
  retentionMs: -1,
})

export const openSmall = (files: Files, clock = new HandClock(), config = smallConfig): Promise<PartitionLog> =>
  openPartitionLog({ files, dir: LOG_DIR, config, clock, checkpointBytes: 2500 })

interface SentBatch {
  producerId: number
  epoch: number
  sequence: number
  isTransactional: boolean
  values: string[]
  baseOffset: number
}

/** Producers from here on write in transactions only. */
const TRANSACTIONAL_FROM = 10
/** The value of a marker's record, as text: version 0, coordinator epoch 0. */
const MARKER_VALUE = '\0'.repeat(6)

/** What a client of the log knows at some moment. */
export interface Account {
  /** Offset to every value that may stand there. */
  assigned: Map<number, Set<string>>
  ackedEnd: number
  endOffset: number
  /** The log start that a finished deletion set, and the highest that may have been set. */
  startAcked: number
  startMax: number
  /** Of the last acknowledged batch. */
  epoch: number
  lastAcked: Map<number, SentBatch>
}

export class CrashWorkload {
  readonly #files: Files
  readonly #random: Random
  readonly #clock = new HandClock()
  readonly #sequences = new Map<number, number>()
  readonly #epochs = new Map<number, number>()
  #log: PartitionLog | undefined
  #serial = 0
  #isTruncating = false
  readonly account: Account = {
    assigned: new Map(),
    ackedEnd: 0,
    endOffset: 0,
    startAcked: 0,
    startMax: 0,
    epoch: 0,
    lastAcked: new Map(),
  }

  readonly #isRelaxed: boolean

  constructor(files: Files, random: Random, { isRelaxed = false } = {}) {
    this.#files = files
    this.#random = random
    this.#isRelaxed = isRelaxed
  }

  #open(): Promise<PartitionLog> {
    const durability = this.#isRelaxed ? 'relaxed' : 'fsync'
    return openSmall(this.#files, this.#clock, () => ({ ...smallConfig(), durability, flushMs: 40 }))
  }

  /** The account as of now; later steps don't change it. */
  snapshot(): Account {
    const { account } = this
    // With relaxed writes the log promises what it has synced, and of producers nothing.
    const synced = { ackedEnd: Math.min(this.#log?.syncedOffset ?? 0, account.ackedEnd), lastAcked: new Map() }
    return {
      ...account,
      endOffset: this.#log ? Math.max(this.#log.endOffset, account.endOffset) : account.endOffset,
      assigned: new Map([...account.assigned].map(([offset, values]) => [offset, new Set(values)])),
      lastAcked: new Map(account.lastAcked),
      ...(this.#isRelaxed ? synced : {}),
    }
  }

  async run(steps: number): Promise<void> {
    this.#log = await this.#open()
    for (let step = 0; step < steps; step++) await this.#step(this.#log)
    await this.#log.close()
  }

  /** After a disk that failed: lets go of all files. */
  async abandon(): Promise<void> {
    await this.#log?.close()
  }

  async #step(log: PartitionLog): Promise<void> {
    const dice = this.#random.next()
    if (dice < 0.65) await this.#appendSome(log)
    else if (dice < 0.8) await this.#endTransaction(log)
    else if (dice < 0.88) await this.#retain(log)
    else if (dice < 0.92) await this.#deleteSome(log)
    else if (dice < 0.96) await this.#truncate(log)
    else await this.#reopen(log)
  }

  async #appendSome(log: PartitionLog): Promise<void> {
    if (this.#isRelaxed) this.#clock.advance(10)
    const count = 1 + randomBelow(this.#random, 4)
    const waiting: Promise<void>[] = []
    for (let index = 0; index < count; index++) {
      const isTransactional = this.#random.next() < 0.4
      const producerId = randomBelow(this.#random, 3) + (isTransactional ? TRANSACTIONAL_FROM : 0)
      const epoch = this.#epochs.get(producerId) ?? 0
      const sequence = this.#sequences.get(producerId) ?? 0
      const size = 1 + randomBelow(this.#random, this.#random.next() < 0.1 ? 5000 : 300)
      const values = Array.from({ length: 1 + randomBelow(this.#random, 3) }, () =>
        `${this.#serial++}`.padEnd(size, '.'),
      )
      const producer = { id: producerId, epoch, sequence, isTransactional }
      const result = log.append(batchOf(values, { producer }))
      this.#sequences.set(producerId, sequence + values.length)
      const sent = { producerId, epoch, sequence, isTransactional, values, baseOffset: result.baseOffset }
      this.#noteAssigned(sent)
      const acked = result.durable.then(() => this.#noteAcked(sent, log.leaderEpoch))
      acked.catch(() => {})
      waiting.push(acked)
    }
    // Sometimes the next step comes while these are still being written.
    if (this.#random.next() < 0.7) await Promise.all(waiting)
    else await waiting[0]
  }

  async #endTransaction(log: PartitionLog): Promise<void> {
    const open = log.openTransactions()
    const chosen = open[randomBelow(this.#random, open.length)]
    if (!chosen) return this.#appendSome(log)
    const { producerId } = chosen
    const isFenced = this.#random.next() < 0.5
    const producerEpoch = chosen.producerEpoch + (isFenced ? 1 : 0)
    const outcome = this.#random.next() < 0.5 ? 'commit' : 'abort'
    if (isFenced) {
      this.#epochs.set(producerId, producerEpoch)
      this.#sequences.delete(producerId)
      this.account.lastAcked.delete(producerId)
    }
    const marker = log.appendMarker({ producerId, producerEpoch, coordinatorEpoch: 0, outcome })
    this.#noteAssigned({ values: [MARKER_VALUE], baseOffset: marker.baseOffset })
    const acked = marker.durable.then(() => this.#noteAckedEnd(marker.baseOffset + 1, log.leaderEpoch))
    acked.catch(() => {})
    if (this.#random.next() < 0.7) await acked
  }

  #noteAssigned(sent: Pick<SentBatch, 'values' | 'baseOffset'>): void {
    sent.values.forEach((value, index) => {
      const offset = sent.baseOffset + index
      const values = this.account.assigned.get(offset) ?? new Set()
      this.account.assigned.set(offset, values.add(value))
    })
  }

  #noteAcked(sent: SentBatch, leaderEpoch: number): void {
    this.#noteAckedEnd(sent.baseOffset + sent.values.length, leaderEpoch)
    // A marker that came meanwhile may have fenced it.
    const isCurrent = sent.epoch === (this.#epochs.get(sent.producerId) ?? 0)
    if (!this.#isTruncating && isCurrent) this.account.lastAcked.set(sent.producerId, sent)
  }

  #noteAckedEnd(end: number, leaderEpoch: number): void {
    if (this.#isTruncating) return
    this.account.epoch = leaderEpoch
    this.account.ackedEnd = Math.max(this.account.ackedEnd, end)
  }

  async #retain(log: PartitionLog): Promise<void> {
    this.#clock.advance(1000)
    this.account.startMax = Math.max(this.account.startMax, log.highWatermark)
    await log.enforceRetention()
    this.account.startAcked = log.startOffset
  }

  async #deleteSome(log: PartitionLog): Promise<void> {
    const target = log.startOffset + randomBelow(this.#random, log.highWatermark - log.startOffset + 1)
    this.account.startMax = Math.max(this.account.startMax, target)
    await log.deleteRecordsBefore(target)
    this.account.startAcked = log.startOffset
  }

  async #truncate(log: PartitionLog): Promise<void> {
    const span = Math.min(log.highWatermark - log.startOffset, 20)
    const target = log.highWatermark - randomBelow(this.#random, span + 1)
    // What was queued drains first; from here on nothing at or above the target counts as acknowledged.
    this.account.ackedEnd = Math.min(this.account.ackedEnd, target - 3)
    this.account.lastAcked.clear()
    // A cut in the middle of a batch takes the whole batch, and with it a log start that lay inside.
    this.account.startAcked = Math.min(this.account.startAcked, target - 3)
    this.#isTruncating = true
    const end = await log.truncateTo(target)
    this.#isTruncating = false
    this.account.ackedEnd = end
    this.account.startAcked = log.startOffset
    for (const offset of this.account.assigned.keys()) if (offset >= end) this.account.assigned.delete(offset)
    this.account.lastAcked.clear()
    // The cut took batches from producers; as real ones would after an error, they begin again with a new id.
    this.#sequences.clear()
    this.#epochs.clear()
    for (const { producerId, producerEpoch, lastSequence } of log.producers()) {
      this.#sequences.set(producerId, lastSequence + 1)
      this.#epochs.set(producerId, producerEpoch)
    }
  }

  async #reopen(log: PartitionLog): Promise<void> {
    await log.close()
    this.account.endOffset = log.endOffset
    this.#log = await this.#open()
  }
}

/**
 * What holds when a crash came between two looks at an account: promised is what was by the earlier one and was not taken
 * back since; possible is what either says.
 */
export function accountBetween(earlier: Account, later: Account): Account {
  const assigned = new Map([...later.assigned].map(([offset, values]) => [offset, new Set(values)]))
  for (const [offset, values] of earlier.assigned) {
    assigned.set(offset, new Set([...(assigned.get(offset) ?? []), ...values]))
  }
  const isSame = (sent: SentBatch) => later.lastAcked.get(sent.producerId) === sent
  return {
    assigned,
    ackedEnd: Math.min(earlier.ackedEnd, later.ackedEnd),
    endOffset: later.endOffset,
    startAcked: Math.min(earlier.startAcked, later.startAcked),
    startMax: later.startMax,
    epoch: earlier.epoch,
    lastAcked: new Map([...earlier.lastAcked].filter(([, sent]) => isSame(sent))),
  }
}

/** Opens what a crash left and compares it with the account. Returns whether a tail was cut. */
export async function checkAfterCrash(files: Files, account: Account): Promise<boolean> {
  const log = await openSmall(files)
  expect(log.fault).toBeUndefined()
  expect(log.startOffset).toBeGreaterThanOrEqual(Math.min(account.startAcked, log.endOffset))
  expect(log.startOffset).toBeLessThanOrEqual(account.startMax)
  expect(log.endOffset).toBeGreaterThanOrEqual(account.ackedEnd)
  const hadBegun = !log.recovery.isNew && !log.recovery.isClean
  if (hadBegun && log.endOffset < account.endOffset) expect(log.leaderEpoch).toBeGreaterThan(account.epoch)
  await checkContent(log, account)
  await checkTransactions(log)
  await checkProducers(log, account)
  await endOpenTransactions(log)
  const wasCut = log.recovery.cut !== undefined
  await log.append(batchOf(['after'])).durable
  await log.close()
  await checkReopens(files, log.endOffset)
  return wasCut
}

async function checkContent(log: PartitionLog, account: Account): Promise<void> {
  let expected = log.startOffset
  for (let at = log.startOffset; at < log.highWatermark; ) {
    const read = await log.read(at, 2000)
    for (const value of valuesIn(read.bytes)) {
      const offset = Number(value.slice(0, value.indexOf(':')))
      if (offset < log.startOffset) continue
      expect(offset).toBe(expected++)
      expect(account.assigned.get(offset)).toContain(value.slice(value.indexOf(':') + 1))
    }
    at = read.nextOffset
  }
  expect(expected).toBe(log.highWatermark)
}

/** A batch whose acknowledgement was lost in the crash comes again: the old answer, nothing new. */
async function checkProducers(log: PartitionLog, account: Account): Promise<void> {
  const end = log.endOffset
  for (const sent of account.lastAcked.values()) {
    const { producerId: id, epoch, sequence, isTransactional } = sent
    const producer = { id, epoch, sequence, isTransactional }
    const again = log.append(batchOf(sent.values, { producer }))
    expect(again).toMatchObject({ duplicate: true, baseOffset: sent.baseOffset })
    await again.durable
  }
  expect(log.endOffset).toBe(end)
}

async function checkReopens(files: Files, endOffset: number): Promise<void> {
  const log = await openSmall(files)
  expect(log.recovery).toMatchObject({ isClean: true, fault: undefined, cut: undefined })
  expect(log.endOffset).toBe(endOffset)
  expect(log.startOffset).toBeGreaterThan(TEST_TIMESTAMP * -1)
  await checkTransactions(log)
  await log.close()
}
