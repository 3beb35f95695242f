/**
 * One partition in one share group: which records are handed out to whom, and what became of them. No clock, no I/O.
 *
 *     available ──acquire──> acquired ──accept──────────────────────> acknowledged
 *         ^                   │  │ └────reject, or nothing there────> archived
 *         └─release, lock out─┘  └──after the last allowed delivery─> archived
 *
 * What is acquired is not written: after a crash it is available again. What is settled, and how often the rest was tried,
 * must be on disk before anybody is told. `takeUpdate` says what that is since it was last asked.
 */
import { KafkaError } from '../../../protocol/errors.ts'
import { AcknowledgeType } from '../../../protocol/messages/share-fetch.ts'
import { type Acknowledgement, evenPiecesOf } from './acknowledgements.ts'
import { type Run, type RunState, Runs, UNTOUCHED } from './runs.ts'
import { type Acquired, type ShareLimits, Taking, type Wish } from './taking.ts'

/** What a slice of the log holds at these offsets. */
export interface Span {
  readonly first: number
  readonly last: number
  /** Not a control batch, not an emptied one, not aborted. */
  readonly hasRecords: boolean
}

/** `[first, last, state, times delivered]` */
export type StoredRun = readonly [first: number, last: number, state: number, deliveryCount: number]

export interface StoredShare {
  readonly start: number
  readonly runs: readonly StoredRun[]
}

/** As Kafka numbers them. */
const STATE_CODES: Readonly<Record<RunState, number>> = { available: 0, acquired: 1, acknowledged: 2, archived: 4 }

export class SharePartition {
  readonly #runs: Runs
  /** Changed since the last update, and to be written. */
  #changed: Array<[first: number, last: number]> = []

  constructor(start: number) {
    this.#runs = new Runs(start)
  }

  /** Everything below is settled. */
  get start(): number {
    return this.#runs.start
  }

  /** Everything from here on was never handed out. */
  get end(): number {
    return this.#runs.end
  }

  /** What is settled behind the start. */
  get settledCount(): number {
    return this.#runs.settledCount
  }

  /** When the next lock runs out. */
  get nextDeadline(): number | undefined {
    let deadline = Number.POSITIVE_INFINITY
    for (const run of this.#runs.all) if (run.state === 'acquired') deadline = Math.min(deadline, run.lockedUntil)
    return Number.isFinite(deadline) ? deadline : undefined
  }

  /** From where to read what can be handed out next; undefined while too much is in hand. */
  nextOffset({ recordLocksMax }: ShareLimits): number | undefined {
    const released = this.#runs.all.find(({ state }) => state === 'available')
    if (released) return released.first
    return this.#runs.openCount < recordLocksMax ? this.end : undefined
  }

  /** Hands out what is available of a slice of the log. */
  acquire(spans: readonly Span[], wish: Wish, limits: ShareLimits): Acquired[] {
    const taking = new Taking(wish, limits, this.#runs.openCount)
    for (const span of spans) {
      if (taking.isDone) break
      if (!span.hasRecords) this.#skip(span)
      else
        for (const piece of this.#availableIn(span)) {
          const count = taking.countOf(piece, piece.first >= this.end)
          if (count === 0) break
          this.#acquire({ ...piece, last: piece.first + count - 1 }, wish)
          taking.take(piece, count)
          if (taking.isDone) break
        }
      taking.endOfSpan()
    }
    this.#runs.trim()
    return taking.acquired
  }

  /** Nothing at these offsets will ever be handed out. That can be seen from the log again, so it is not written. */
  #skip(span: Span): void {
    for (const { first, last } of this.#availableIn(span))
      this.#runs.set(first, last, { ...UNTOUCHED, state: 'archived' })
  }

  #availableIn({ first, last }: Span): Run[] {
    const from = Math.max(first, this.start)
    const { end } = this
    const known = [...this.#runs.touching(from, last)]
      .filter(({ state }) => state === 'available')
      .map((run) => ({ ...run, first: Math.max(run.first, from), last: Math.min(run.last, last) }))
    return last < end ? known : [...known, { ...UNTOUCHED, first: Math.max(from, end), last }]
  }

  #acquire({ first, last, deliveryCount }: Run, { memberId, lockedUntil }: Wish): void {
    this.#runs.set(first, last, { state: 'acquired', deliveryCount: deliveryCount + 1, memberId, lockedUntil })
  }

  /**
   * All of it, or nothing: throws KafkaError INVALID_REQUEST, INVALID_RECORD_STATE. What the log has let go of meanwhile is
   * passed over.
   */
  acknowledge(
    memberId: string,
    batches: readonly Acknowledgement[],
    how: { logStart: number; lockedUntil: number; deliveriesMax: number },
  ): void {
    this.#checkOwner(memberId, batches, how.logStart)
    for (const batch of batches)
      for (const { first, last, type } of evenPiecesOf(batch)) {
        const pieces = [...this.#piecesIn(Math.max(first, this.start), last)]
        for (const piece of pieces) this.#settle(piece, type, how)
      }
    this.#runs.trim()
  }

  #checkOwner(memberId: string, batches: readonly Acknowledgement[], logStart: number): void {
    for (const { firstOffset, lastOffset } of batches) {
      if (lastOffset >= this.end)
        throw new KafkaError('INVALID_REQUEST', `offset ${lastOffset} was not handed out to anybody yet`)
      let next = Math.max(firstOffset, logStart)
      for (const run of this.#runs.touching(next, lastOffset)) {
        if (run.first > next || run.state !== 'acquired' || run.memberId !== memberId) break
        next = run.last + 1
      }
      if (next <= lastOffset)
        throw new KafkaError('INVALID_RECORD_STATE', `offset ${next} is not acquired by member ${memberId}`)
    }
  }

  #settle(piece: Run, type: number, how: { lockedUntil: number; deliveriesMax: number }): void {
    const { first, last, deliveryCount, memberId } = piece
    if (type === AcknowledgeType.renew)
      return this.#runs.set(first, last, { state: 'acquired', deliveryCount, memberId, lockedUntil: how.lockedUntil })
    if (type === AcknowledgeType.release) return this.#release(piece, how.deliveriesMax)
    const state = type === AcknowledgeType.accept ? 'acknowledged' : 'archived'
    this.#change(first, last, state, deliveryCount)
  }

  #release({ first, last, deliveryCount }: Run, deliveriesMax: number): void {
    this.#change(first, last, deliveryCount >= deliveriesMax ? 'archived' : 'available', deliveryCount)
  }

  /** Members whose time is over. */
  expire(nowMs: number, deliveriesMax: number): void {
    for (const run of [...this.#runs.all])
      if (run.state === 'acquired' && run.lockedUntil <= nowMs) this.#release(run, deliveriesMax)
    this.#runs.trim()
  }

  /** Everything that the member has, if it has any. */
  releaseAll(memberId: string, deliveriesMax: number): boolean {
    const held = this.#runs.all.filter((run) => run.state === 'acquired' && run.memberId === memberId)
    for (const run of held) this.#release(run, deliveriesMax)
    this.#runs.trim()
    return held.length > 0
  }

  /** What the log does not hold any more, or not yet again, is out of hand. */
  fitTo({ startOffset, endOffset }: { startOffset: number; endOffset: number }): void {
    if (this.end > endOffset) this.#runs.dropFrom(endOffset)
    this.#runs.dropBelow(startOffset)
    this.#runs.trim()
  }

  // --- what is written -----------------------------------------------------------------------------------------------

  /** What must be on disk before anybody is told; undefined when that is nothing. */
  takeUpdate(): StoredShare | undefined {
    const changed = this.#changed
    if (changed.length === 0) return undefined
    this.#changed = []
    const runs = new Map<number, StoredRun>()
    for (const [first, last] of changed) {
      for (const piece of this.#piecesIn(Math.max(first, this.start), last))
        if (piece.state !== 'acquired') runs.set(piece.first, stored(piece))
    }
    return { start: this.start, runs: [...runs.values()] }
  }

  /** Everything that would have to be written. */
  snapshot(): StoredShare {
    const runs = this.#runs.all.flatMap((run) => {
      if (run.state !== 'acquired') return [stored(run)]
      // It is as if the delivery had not been: only what came of it is written.
      return run.deliveryCount > 1 ? [stored({ ...run, state: 'available', deliveryCount: run.deliveryCount - 1 })] : []
    })
    return { start: this.start, runs }
  }

  static restore({ start, runs }: StoredShare): SharePartition {
    const partition = new SharePartition(start)
    partition.update({ start, runs })
    return partition
  }

  /** Reads again what `takeUpdate` gave. */
  update({ start, runs }: StoredShare): void {
    for (const [first, last, code, deliveryCount] of runs) {
      this.#runs.set(first, last, { ...UNTOUCHED, state: stateOf(code), deliveryCount })
    }
    this.#runs.dropBelow(start)
    this.#runs.trim()
  }

  #change(first: number, last: number, state: RunState, deliveryCount: number): void {
    this.#runs.set(first, last, { ...UNTOUCHED, state, deliveryCount })
    this.#changed.push([first, last])
  }

  *#piecesIn(first: number, last: number): Generator<Run> {
    for (const run of this.#runs.touching(first, last))
      yield { ...run, first: Math.max(run.first, first), last: Math.min(run.last, last) }
  }
}

const stored = ({ first, last, state, deliveryCount }: Run): StoredRun => [
  ...([first, last, STATE_CODES[state]] as const),
  deliveryCount,
]

function stateOf(code: number): RunState {
  if (code === STATE_CODES.available) return 'available'
  return code === STATE_CODES.acknowledged ? 'acknowledged' : 'archived'
}
