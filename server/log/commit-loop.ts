/**
 * Group commit. Appends that arrive while one commit runs share the next: one write, one sync, one promise.
 *
 * A round is a run of batches for one segment, at most 8 MiB. The rounds wait in a queue; the loop takes the first, writes
 * and syncs it, and only then the next. After a failure nothing that waits is ever acknowledged.
 */
import type { Clock } from '../../protocol/lib/clock.ts'
import { nextTurn } from '../next-turn.ts'
import { clearCommitMark, markCommitStart } from './commit-mark.ts'
import type { CommitActivity } from './compaction/pace.ts'
import type { Durability } from './durability.ts'
import { joinPiece } from './recent-batches.ts'
import type { Segment } from './segment.ts'

export const ROUND_BYTES_MAX = 8 * 1024 * 1024

/** What has to happen before the round is written. */
export type RoundBoundary =
  /** A new segment begins with this round. `snapshot` is the producer state up to here. */
  | { kind: 'roll'; segment: Segment; snapshot: Uint8Array }
  /** Recovery may begin here from now on. */
  | { kind: 'checkpoint'; position: number; snapshot: Uint8Array; index: Uint8Array }
  /** What was written without a sync gets one. */
  | { kind: 'flush' }

export class Round {
  readonly baseOffset: number
  readonly boundary: RoundBoundary | undefined
  readonly pieces: Uint8Array[] = []
  readonly committed: Promise<void>
  /** The batch that carries the mark while the round is written. */
  firstBatch: Uint8Array | undefined
  /** Whether anything in it was promised to be on disk. */
  isSynced = false
  sizeBytes = 0
  endOffset: number
  resolve!: () => void
  reject!: (error: Error) => void

  constructor(baseOffset: number, boundary?: RoundBoundary) {
    this.baseOffset = baseOffset
    this.endOffset = baseOffset
    this.boundary = boundary
    this.committed = new Promise((resolve, reject) => {
      this.resolve = resolve
      this.reject = reject
    })
    // Whoever doesn't wait for the disk (acks=0) must not end the process when it fails.
    this.committed.catch(() => {})
  }

  add(bytes: Uint8Array, endOffset: number, durability: Durability): void {
    if (durability === 'fsync') this.isSynced = true
    if (!this.firstBatch) {
      markCommitStart(bytes)
      this.firstBatch = bytes
    }
    joinPiece(this.pieces, bytes)
    this.sizeBytes += bytes.length
    this.endOffset = endOffset
  }

  /** The bytes become what readers may see; or what was before them is not on disk yet, and the mark would lie. */
  unmark(): void {
    if (this.firstBatch) clearCommitMark(this.firstBatch)
  }
}

export interface CommitTarget {
  /** Writes the round, and makes it durable if it is to be. */
  write(round: Round): Promise<void>
  /** It is. Called before the round's promise resolves. */
  committed(round: Round, isLast: boolean): void
  /** Writing failed; all rounds that wait are given up. Resolves when appends may be taken again, or never will be. */
  failed(error: unknown): Promise<Error>
  /** After `failed`, once for each round that was not written; before its promise rejects. */
  givenUp(round: Round): void
}

export class CommitLoop {
  readonly #target: CommitTarget
  readonly #activity: CommitActivity
  readonly #clock: Clock
  #rounds: Round[] = []
  #running: Promise<void> | undefined
  queuedBytes = 0

  constructor(target: CommitTarget, clock: Clock, activity: CommitActivity = { running: 0, begun: 0 }) {
    this.#target = target
    this.#activity = activity
    this.#clock = clock
  }

  get isIdle(): boolean {
    return this.#running === undefined
  }

  /** Queues a batch. Returns the round that it became part of. */
  add(
    bytes: Uint8Array,
    baseOffset: number,
    endOffset: number,
    { boundary, durability = 'fsync' }: { boundary?: RoundBoundary; durability?: Durability } = {},
  ): Round {
    let round = this.#rounds.at(-1)
    // The first round of a running loop is being written already.
    const isOpen = round && (this.#rounds.length > 1 || !this.#isWriting) && !boundary
    if (!round || !isOpen || round.sizeBytes + bytes.length > ROUND_BYTES_MAX) {
      round = new Round(baseOffset, boundary)
      this.#rounds.push(round)
    }
    round.add(bytes, endOffset, durability)
    this.queuedBytes += bytes.length
    this.#running ??= this.#run()
    return round
  }

  /** Queues a boundary with no batch behind it. */
  addBoundary(offset: number, boundary: RoundBoundary): Round {
    const round = new Round(offset, boundary)
    this.#rounds.push(round)
    this.#running ??= this.#run()
    return round
  }

  /** The promise of the round that holds `offset`, or undefined when it is durable. */
  waitingFor(offset: number): Promise<void> | undefined {
    return this.#rounds.find((round) => offset < round.endOffset)?.committed
  }

  #isWriting = false

  async #run(): Promise<void> {
    // All that arrives in this turn of the event loop shares the first round.
    await nextTurn(this.#clock)
    this.#activity.running++
    this.#activity.begun++
    while (this.#rounds.length > 0) {
      const round = this.#rounds[0]!
      this.#isWriting = true
      try {
        await this.#target.write(round)
      } catch (error) {
        await this.#giveUp(error)
        break
      }
      this.#isWriting = false
      this.#rounds.shift()
      this.queuedBytes -= round.sizeBytes
      round.unmark()
      this.#target.committed(round, this.#rounds.length === 0)
      round.resolve()
    }
    this.#isWriting = false
    this.#activity.running--
    this.#running = undefined
  }

  async #giveUp(error: unknown): Promise<void> {
    const outcome = await this.#target.failed(error)
    const given = this.#rounds
    this.#rounds = []
    this.queuedBytes = 0
    for (const round of given) {
      this.#target.givenUp(round)
      round.reject(outcome)
    }
  }

  /** Resolves when nothing is queued and nothing is being written. */
  async drained(): Promise<void> {
    while (this.#running) await this.#running
  }
}
