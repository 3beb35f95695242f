/**
 * The one place that writes a replica: delivered frames of all partitions, joined into few transactions, and jobs (cuts,
 * resets, merges, retention) in between.
 *
 * Invariants: one unit or job at a time, so each sees the positions that the one before left, and a unit that fails can
 * never be followed by one that assumes it; frames of a partition are stored in the order in which they came; small
 * neighbours become one row, but never a row that Chromium would move to a file of its own.
 */
import { concatenate } from '../../protocol/compression.ts'
import type { AbortedTransaction } from '../../protocol/messages/offset-protocol.ts'
import { withAborted } from './frame-check.ts'
import { MERGED_ROW_BYTES_MIN, ROW_BYTES_MAX } from './row-size.ts'
import type { ChunkRow, Delivery, ReplicaStore, StoredPosition } from './store.ts'
import { type StoreError, storeErrorFrom } from './store-error.ts'

/** About what one transaction may hold: more gains nothing, and the outbox's would wait longer. */
const UNIT_BYTES_MAX = 2 * 1024 * 1024
/** About what an aborted transaction takes in a row. */
const ABORTED_BYTES = 64

/** One partition, as far as the writer needs to know it. */
export interface WrittenPartition {
  readonly position: StoredPosition
  stored(position: StoredPosition, creditBytes: number, rows: readonly ChunkRow[]): void
  storeFailed(failure: StoreError): void
}

export interface QueuedFrame {
  /** None: only the position moves. */
  chunks: readonly ChunkRow[]
  nextOffset: number
  leaderEpoch: number
  logStart: number
  /** What it cost the sender's credit. */
  creditBytes: number
}

export interface ChunkWriterOptions {
  store: Pick<ReplicaStore, 'commitDelivery'>
  /** Frees space; false when nothing could be freed. Called between units. */
  makeRoom(sizeBytes: number): Promise<boolean>
  failed(failure: StoreError): void
}

export class ChunkWriter {
  readonly #options: ChunkWriterOptions
  #frames: Array<{ partition: WrittenPartition; frame: QueuedFrame }> = []
  #jobs: Array<{ run(): Promise<void>; dropped(): void }> = []
  #running: Promise<void> | undefined
  #isClosed = false

  constructor(options: ChunkWriterOptions) {
    this.#options = options
  }

  enqueue(partition: WrittenPartition, frame: QueuedFrame): void {
    this.#frames.push({ partition, frame })
    this.#start()
  }

  /** Drops what waits for this partition; a unit that has begun goes on. */
  forget(partition: WrittenPartition): void {
    this.#frames = this.#frames.filter((queued) => queued.partition !== partition)
  }

  /** Bytes of credit that wait to be stored. */
  waitingBytes(partition: WrittenPartition): number {
    let sizeBytes = 0
    for (const queued of this.#frames) if (queued.partition === partition) sizeBytes += queued.frame.creditBytes
    return sizeBytes
  }

  /** Runs `job` when no unit and no other job runs. Its failures go to `failed`. `dropped`: it will never run. */
  run(job: () => Promise<void>, dropped: () => void = () => {}): void {
    if (this.#isClosed) return dropped()
    this.#jobs.push({ run: job, dropped })
    this.#start()
  }

  /** Waits for what has begun; drops the rest. */
  async close(): Promise<void> {
    this.#isClosed = true
    this.#frames = []
    for (const { dropped } of this.#jobs.splice(0)) dropped()
    await this.#running
  }

  #start(): void {
    if (this.#isClosed) return
    this.#running ??= this.#loop()
  }

  async #loop(): Promise<void> {
    // One turn later, so that frames of one message burst share the first unit.
    await Promise.resolve()
    try {
      while (this.#jobs.length > 0 || this.#frames.length > 0) {
        const job = this.#jobs.shift()
        if (job)
          await job.run().catch((failure: unknown) => this.#options.failed(storeErrorFrom(failure, 'the replica')))
        if (this.#frames.length > 0) await this.#storeUnit()
      }
    } finally {
      // In the turn in which nothing was left: what comes a turn later would wait for a loop that has ended.
      this.#running = undefined
    }
  }

  async #storeUnit(): Promise<void> {
    const unit = this.#takeUnit()
    try {
      const stored = await this.#commit(unit)
      for (const { partition, position, chunks, creditBytes } of stored) partition.stored(position, creditBytes, chunks)
    } catch (thrown) {
      const failure = storeErrorFrom(thrown, 'storing deliveries')
      for (const partition of unit.keys()) partition.storeFailed(failure)
      this.#options.failed(failure)
    }
  }

  async #commit(unit: ReadonlyMap<WrittenPartition, QueuedFrame[]>): Promise<StoredUnit[]> {
    for (let attempt = 0; ; attempt++) {
      // Computed at each attempt: making room moves starts and sizes.
      const parts = [...unit].map(([partition, frames]) => ({ partition, ...unitOf(partition.position, frames) }))
      try {
        await this.#options.store.commitDelivery(parts.map(({ position, chunks }) => ({ position, chunks })))
        return parts
      } catch (failure) {
        const sizeBytes = parts.reduce((sum, { creditBytes }) => sum + creditBytes, 0)
        const isFull = storeErrorFrom(failure, 'storing deliveries').kind === 'quota'
        if (!isFull || attempt > 0 || !(await this.#options.makeRoom(sizeBytes))) throw failure
      }
    }
  }

  #takeUnit(): Map<WrittenPartition, QueuedFrame[]> {
    const byPartition = new Map<WrittenPartition, QueuedFrame[]>()
    let sizeBytes = 0
    let count = 0
    for (const { partition, frame } of this.#frames) {
      const frameBytes = sizeOf(frame.chunks)
      if (count > 0 && sizeBytes + frameBytes > UNIT_BYTES_MAX) break
      sizeBytes += frameBytes
      count++
      const frames = byPartition.get(partition)
      if (frames) frames.push(frame)
      else byPartition.set(partition, [frame])
    }
    this.#frames.splice(0, count)
    return byPartition
  }
}

interface StoredUnit extends Delivery {
  partition: WrittenPartition
  creditBytes: number
}

function unitOf(position: StoredPosition, frames: readonly QueuedFrame[]): Omit<StoredUnit, 'partition'> {
  const chunks = joinSmall(frames.flatMap((frame) => frame.chunks))
  const { nextOffset, leaderEpoch, logStart } = frames.at(-1)!
  let { nextOffset: heldUpTo, mergedUpTo } = position
  for (const chunk of chunks) {
    const isNextToMerged = mergedUpTo >= heldUpTo || mergedUpTo >= chunk.baseOffset
    if (isNextToMerged && chunk.bytes.length >= MERGED_ROW_BYTES_MIN) mergedUpTo = chunk.nextOffset
    heldUpTo = chunk.nextOffset
  }
  const sizeBytes = position.sizeBytes + sizeOf(chunks)
  const creditBytes = frames.reduce((sum, frame) => sum + frame.creditBytes, 0)
  return { position: { ...position, nextOffset, leaderEpoch, logStart, sizeBytes, mergedUpTo }, chunks, creditBytes }
}

const sizeOf = (chunks: readonly ChunkRow[]): number => chunks.reduce((sum, { bytes }) => sum + bytes.length, 0)

/** Neighbours become one row while that stays small. */
function joinSmall(chunks: readonly ChunkRow[]): ChunkRow[] {
  const joined: ChunkRow[] = []
  let group: ChunkRow[] = []
  let groupBytes = 0
  const flush = () => {
    if (group.length > 0) joined.push(joinChunks(group))
    group = []
    groupBytes = 0
  }
  for (const chunk of chunks) {
    const rowBytes = chunk.bytes.length + (chunk.aborted?.length ?? 0) * ABORTED_BYTES
    if (groupBytes + rowBytes > ROW_BYTES_MAX) flush()
    group.push(chunk)
    groupBytes += rowBytes
  }
  flush()
  return joined
}

/** Chunks that follow each other, as one. */
export function joinChunks(group: readonly ChunkRow[]): ChunkRow {
  const first = group[0]!
  if (group.length === 1) return first
  const joined = {
    baseOffset: first.baseOffset,
    nextOffset: group.at(-1)!.nextOffset,
    maxTimestamp: Math.max(...group.map(({ maxTimestamp }) => maxTimestamp)),
    bytes: concatenate(group.map(({ bytes }) => bytes)),
  }
  return withAborted(joined, withoutRepeats(group.flatMap(({ aborted }) => aborted ?? [])))
}

/** A transaction that reaches over several chunks is named by each. Their first offsets tell transactions apart. */
const withoutRepeats = (aborted: readonly AbortedTransaction[]): AbortedTransaction[] => [
  ...new Map(aborted.map((transaction) => [transaction.firstOffset, transaction])).values(),
]
