/**
 * What readers get: from memory where the newest batches still lie there, else from disk; and for readers of committed
 * records no further than the last stable offset, with the aborted transactions that have batches in it.
 */
import type { DecidedSlice } from './committed-reads.ts'
import { CommittedReads } from './committed-reads.ts'
import type { Allocate, LogReader, ReadResult } from './log-reader.ts'
import type { LogState } from './log-state.ts'
import type { RecentBatches, RecentSlice } from './recent-batches.ts'

export type CommittedRead = ReadResult & Pick<DecidedSlice, 'aborted'>

const UNBOUNDED = Number.POSITIVE_INFINITY

export class LogReads {
  readonly #state: LogState
  readonly #reader: LogReader
  readonly #recent: RecentBatches
  readonly #committed: CommittedReads

  constructor(state: LogState, reader: LogReader, recent: RecentBatches) {
    this.#state = state
    this.#reader = reader
    this.#recent = recent
    this.#committed = new CommittedReads(state, reader)
  }

  async read(offset: number, maxBytes: number, upTo = UNBOUNDED, allocate?: Allocate): Promise<ReadResult> {
    const held = this.recent(offset, maxBytes, upTo)
    if (!held) return this.#reader.read(offset, maxBytes, upTo, allocate)
    const { baseOffset, nextOffset } = held
    return { bytes: joined(held), baseOffset, nextOffset }
  }

  recent(offset: number, maxBytes = UNBOUNDED, upTo = UNBOUNDED): RecentSlice | undefined {
    if (offset < this.#state.startOffset) return undefined
    return this.#recent.slice(offset, Math.min(upTo, this.#state.readableEnd), maxBytes)
  }

  async readCommitted(offset: number, maxBytes: number, upTo = UNBOUNDED, allocate?: Allocate): Promise<CommittedRead> {
    for (;;) {
      const { generation, lastStableOffset } = this.#state
      const { bytes, ...read } = await this.read(offset, maxBytes, Math.min(upTo, lastStableOffset), allocate)
      // With its segments the log may have lost what was known of them: look again.
      const isSame = () => generation === this.#state.generation && offset >= this.#state.startOffset
      try {
        const { pieces, ...decided } = await this.#committed.decide({ ...read, pieces: [bytes] }, offset)
        if (isSame()) return { ...read, ...decided, bytes: pieces[0]! }
      } catch (error) {
        if (isSame()) throw error
      }
    }
  }

  recentCommitted(offset: number, maxBytes?: number): DecidedSlice | undefined {
    const held = this.recent(offset, maxBytes, this.#state.lastStableOffset)
    return held && this.#committed.decideNow(held, offset)
  }

  /** Every batch on disk, a slice at a time: each is checked as it is read. */
  async *scrub(sliceBytes: number): AsyncGenerator<number> {
    let offset = this.#state.startOffset
    while (offset < this.#state.readableEnd) {
      offset = Math.max(offset, this.#state.startOffset)
      const { nextOffset } = await this.#reader.read(offset, sliceBytes, UNBOUNDED)
      if (nextOffset === offset) return
      offset = nextOffset
      yield offset
    }
  }
}

function joined(slice: RecentSlice): Uint8Array {
  const [only, ...others] = slice.pieces
  if (only && others.length === 0) return only
  const bytes = new Uint8Array(slice.sizeBytes)
  let at = 0
  for (const piece of slice.pieces) {
    bytes.set(piece, at)
    at += piece.length
  }
  return bytes
}
