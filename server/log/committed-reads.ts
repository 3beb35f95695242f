/**
 * What a reader of committed records must know of a slice: which transactions that have batches in it were aborted.
 *
 * The slice must end at or below the last stable offset, so everything in it is decided. Looked at are only batch
 * headers, and only where an abort marker lies at or behind the slice; a log without aborted transactions costs one
 * comparison. A slice of more than ABORTED_MAX such transactions ends before the batch of the next one.
 */
import type { AbortedTransaction } from '../../protocol/messages/offset-protocol.ts'
import { batchesIn, isControl, isTransactional } from '../../protocol/record-batch.ts'
import type { LogReader } from './log-reader.ts'
import type { LogState } from './log-state.ts'
import type { Segment } from './segment.ts'
import type { SparseIndex } from './sparse-index.ts'

export const ABORTED_MAX = 2000

/** Whole batches. */
export interface Slice {
  pieces: Uint8Array[]
  nextOffset: number
}

export interface DecidedSlice extends Slice {
  /** By first offset. A batch of one of these producers, between its first and last offset, is aborted. */
  aborted: readonly AbortedTransaction[]
}

const NONE: readonly AbortedTransaction[] = []

export class CommittedReads {
  readonly #state: LogState
  readonly #reader: LogReader

  constructor(state: LogState, reader: LogReader) {
    this.#state = state
    this.#reader = reader
  }

  /** Reads the indexes that it needs. The slice begins at `from` or before it. */
  async decide(slice: Slice, from: number): Promise<DecidedSlice> {
    if (from >= this.#state.abortedEnd) return decided(slice, NONE)
    const indexes: SparseIndex[] = []
    for (const segment of this.#segments(from, slice.nextOffset)) {
      indexes.push(segment.index ?? (await this.#reader.loadIndex(segment)))
    }
    return decideBy(indexes, slice, from)
  }

  /** The same at once, or undefined when an index that it needs is not in memory. */
  decideNow(slice: Slice, from: number): DecidedSlice | undefined {
    if (from >= this.#state.abortedEnd) return decided(slice, NONE)
    const indexes: SparseIndex[] = []
    for (const { index } of this.#segments(from, slice.nextOffset)) {
      if (!index) return undefined
      indexes.push(index)
    }
    return decideBy(indexes, slice, from)
  }

  /** Those that hold a marker which may concern offsets in [from, upTo). */
  #segments(from: number, upTo: number): Segment[] {
    return this.#state.segments.filter((segment) => segment.endOffset > from && segment.abortedFrom < upTo)
  }
}

const decided = ({ pieces, nextOffset }: Slice, aborted: readonly AbortedTransaction[]): DecidedSlice => ({
  ...{ pieces, nextOffset, aborted },
})

function decideBy(indexes: readonly SparseIndex[], slice: Slice, from: number): DecidedSlice {
  const candidates = indexes.length === 0 ? undefined : candidatesOf(indexes, slice, from)
  if (!candidates || candidates.size === 0) return decided(slice, NONE)
  const aborted = new Set<AbortedTransaction>()
  for (const [index, piece] of slice.pieces.entries()) {
    for (const { at, header } of transactionalIn(piece)) {
      const found = coveringOf(candidates.get(header.producerId), header.baseOffset)
      if (!found || aborted.has(found)) continue
      if (aborted.size === ABORTED_MAX) {
        const pieces = [...slice.pieces.slice(0, index), piece.subarray(0, at)]
        return { pieces, nextOffset: header.baseOffset, aborted: inOrder(aborted) }
      }
      aborted.add(found)
    }
  }
  return decided(slice, inOrder(aborted))
}

function* transactionalIn(piece: Uint8Array) {
  for (const batch of batchesIn(piece)) if (isTransactional(batch.header) && !isControl(batch.header)) yield batch
}

/** By producer, in the order of their offsets. Only of producers with batches in the slice, so no more than those. */
function candidatesOf(indexes: readonly SparseIndex[], slice: Slice, from: number): Map<number, AbortedTransaction[]> {
  const producers = new Set<number>()
  for (const piece of slice.pieces) {
    for (const { header } of transactionalIn(piece)) producers.add(header.producerId)
  }
  const candidates = new Map<number, AbortedTransaction[]>()
  if (producers.size === 0) return candidates
  for (const { aborted } of indexes) {
    for (const transaction of aborted.overlapping(from, slice.nextOffset, producers)) {
      const known = candidates.get(transaction.producerId)
      if (known) known.push(transaction)
      else candidates.set(transaction.producerId, [transaction])
    }
  }
  return candidates
}

/** Batches are asked for in order, so what ends before one is dropped. */
function coveringOf(candidates: AbortedTransaction[] | undefined, offset: number): AbortedTransaction | undefined {
  while (candidates?.[0] && candidates[0].lastOffset < offset) candidates.shift()
  const next = candidates?.[0]
  return next && next.firstOffset <= offset ? next : undefined
}

const inOrder = (aborted: Iterable<AbortedTransaction>): AbortedTransaction[] =>
  [...aborted].sort((a, b) => a.firstOffset - b.firstOffset)
