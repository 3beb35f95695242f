/**
 * Works through one partition, record by record or in batches, for as long as it is this member's.
 *
 * Records of a partition are handled one after another. One that fails waits for its next attempt without holding up other
 * partitions: its slot is free meanwhile.
 */
import { type Clock, sleep } from '../../protocol/lib/clock.ts'
import type { RawRecord } from '../../protocol/records.ts'
import type { AssignedPartition, Piece } from './assigned-partition.ts'
import { Withdrawn } from './hand-over.ts'
import type { RetryPolicy } from './retry-policy.ts'
import type { Slots } from './slots.ts'

/** What an attempt is made with. */
export interface Attempt {
  /** Aborts when the partition is no longer this member's: whatever is still done is done by somebody else too. */
  signal: AbortSignal
  /** From 1. */
  attempt: number
}

export interface WorkerOptions {
  clock: Clock
  slots: Slots
  policy: RetryPolicy
  /** Records handed over together. */
  batchMax: number
  /** May anything be handed out now? */
  holdsLease(): boolean
  handle(partition: AssignedPartition, records: readonly RawRecord[], attempt: Attempt): unknown
  /** Resolves when it was told what became of the record, so that it may be passed. */
  giveUp(partition: AssignedPartition, record: RawRecord, how: 'dead-letter' | 'skip', failure: Failure): Promise<void>
  /** Records that are gone from the log were never handed out. */
  missed(partition: AssignedPartition, from: number, to: number): Promise<void>
  /** The consumer ends with this. */
  fail(error: unknown): void
  changed(): void
}

export interface Failure {
  attempts: number
  error: unknown
}

/** Others may have a turn after this. */
const TURN_MS = 10

export async function workThrough(partition: AssignedPartition, options: WorkerOptions): Promise<void> {
  const { batchMax, fail } = options
  try {
    for (let piece = await partition.nextPiece(); piece; piece = await partition.nextPiece()) {
      if (piece.gap?.reason === 'deleted') await options.missed(partition, piece.gap.from, piece.gap.to)
      await new PieceWork(partition, piece, options).run(batchMax)
    }
  } catch (error) {
    if (!partition.isOver) fail(error)
  }
}

class PieceWork {
  readonly #partition: AssignedPartition
  readonly #piece: Piece
  readonly #options: WorkerOptions
  #hasSlot = false
  #slotSinceMs = 0

  constructor(partition: AssignedPartition, piece: Piece, options: WorkerOptions) {
    this.#partition = partition
    this.#piece = piece
    this.#options = options
  }

  async run(batchMax: number): Promise<void> {
    const { records } = this.#piece
    try {
      for (let at = 0; at < records.length; at += batchMax) {
        const batch = records.slice(at, at + batchMax)
        if (!(await this.#mayHandOut())) return
        if (!(await this.#work(batch))) return
      }
    } finally {
      this.#freeSlot()
    }
  }

  /** Before each record: still ours, not paused, and somebody's turn is over. */
  async #mayHandOut(): Promise<boolean> {
    const { clock, slots, holdsLease } = this.#options
    const partition = this.#partition
    const isTurnOver = slots.areWanted && clock.monotonic() - this.#slotSinceMs > TURN_MS
    if (partition.isPaused || isTurnOver) this.#freeSlot()
    if (!(await partition.mayHandOut(this.#piece)) || !holdsLease()) return false
    if (this.#hasSlot) return true
    await slots.take()
    this.#hasSlot = true
    this.#slotSinceMs = clock.monotonic()
    return (await partition.mayHandOut(this.#piece)) && holdsLease()
  }

  #freeSlot(): void {
    if (!this.#hasSlot) return
    this.#hasSlot = false
    this.#options.slots.release()
  }

  /** False: the rest of the piece is not to be worked on here. */
  async #work(batch: readonly RawRecord[]): Promise<boolean> {
    const partition = this.#partition
    for (let attempt = 1; ; attempt++) {
      partition.isBusy = true
      const failure = await this.#attempt(batch, attempt)
      if (!failure) for (const record of batch) partition.done(this.#piece, record)
      partition.isBusy = false
      if (!failure) return true
      if (partition.isOver || failure.error instanceof Withdrawn) return false
      // One by one, so that only the record at fault is held up.
      if (batch.length > 1) return this.#oneByOne(batch)
      const decision = await this.#decide(batch[0]!, { attempts: attempt, error: failure.error })
      if (decision === 'passed') return true
      if (decision === 'over' || !(await this.#mayHandOut())) return false
      if (decision === 'resumed') attempt = 0
    }
  }

  async #oneByOne(batch: readonly RawRecord[]): Promise<boolean> {
    for (const record of batch) {
      if (!(await this.#mayHandOut()) || !(await this.#work([record]))) return false
    }
    return true
  }

  async #attempt(batch: readonly RawRecord[], attempt: number): Promise<{ error: unknown } | undefined> {
    const partition = this.#partition
    try {
      for (const record of batch) partition.handedOut(record)
      await this.#options.handle(partition, batch, { signal: partition.signal, attempt })
      partition.failing = undefined
      return undefined
    } catch (error) {
      return { error }
    }
  }

  async #decide(record: RawRecord, failure: Failure): Promise<'again' | 'resumed' | 'passed' | 'over'> {
    const { policy, clock, changed, fail } = this.#options
    const partition = this.#partition
    const verdict = policy.afterFailure(failure.attempts, failure.error)
    if (verdict.kind === 'stop') {
      fail(failure.error)
      return 'over'
    }
    this.#freeSlot()
    const retryAtMs = verdict.kind === 'retry' ? clock.now() + verdict.afterMs : null
    partition.failing = { offset: record.offset, ...failure, retryAtMs }
    if (verdict.kind === 'pause') partition.pause()
    changed()
    if (verdict.kind === 'pause') return 'resumed'
    if (verdict.kind !== 'retry') return this.#giveUp(record, verdict.kind, failure)
    await sleep(clock, verdict.afterMs, partition.left).catch(() => {})
    return 'again'
  }

  async #giveUp(record: RawRecord, how: 'dead-letter' | 'skip', failure: Failure): Promise<'passed'> {
    const partition = this.#partition
    partition.isBusy = true
    try {
      await this.#options.giveUp(partition, record, how, failure)
      partition.failing = undefined
      partition.done(this.#piece, record)
      return 'passed'
    } finally {
      partition.isBusy = false
      this.#options.changed()
    }
  }
}
