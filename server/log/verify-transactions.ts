/**
 * The part of verification that follows transactions: from the batches alone, in their order, then held against what index,
 * manifest and snapshot say.
 */
import type { BatchHeader } from '../../protocol/record-batch.ts'
import { isControl, isTransactional } from '../../protocol/record-batch.ts'
import { readMarker } from '../../protocol/transaction-marker.ts'
import type { Gaps } from './gaps.ts'
import { indexNameOf, type SegmentFile } from './log-names.ts'
import type { SealedSegment } from './manifest.ts'
import type { ProducerTable } from './producer-state.ts'
import type { SparseIndex } from './sparse-index.ts'
import type { Finding } from './verify.ts'

interface Open {
  epoch: number
  firstOffset: number
}

/** An abort marker. Without a first offset: nothing of its transaction lies in what there is of the log. */
interface Abort {
  producerId: number
  firstOffset: number | undefined
}

export class TransactionCheck {
  readonly #open = new Map<number, Open>()
  /** Of the segment that is being read, by the offset of the marker. */
  readonly #aborts = new Map<number, Abort>()
  /** Where the log begins: a transaction may have begun before that. */
  readonly #logStart: number
  /** Compaction has taken out batches, perhaps the first of a transaction. */
  #isCompacted = false

  /** Where the ends and the beginnings of transactions may have been. */
  readonly #gaps: Gaps

  constructor(logStart: number, gaps: Gaps) {
    this.#logStart = logStart
    this.#gaps = gaps
  }

  beginSegment({ compacted }: Pick<SegmentFile, 'compacted'>): void {
    this.#aborts.clear()
    this.#isCompacted ||= compacted !== undefined
  }

  /** Looks at the batch at `at`; returns what is wrong with it. */
  batch(header: BatchHeader, bytes: Uint8Array, at: number): Pick<Finding, 'severity' | 'message'> | undefined {
    if (header.producerId < 0) return undefined
    if (isControl(header)) return this.#marker(header, bytes, at)
    const { producerId, producerEpoch, baseOffset } = header
    const open = this.#open.get(producerId)
    if (!isTransactional(header)) {
      if (!open || this.#gaps.lieIn(open.firstOffset, baseOffset)) return undefined
      const message = `producer ${producerId} wrote outside of its transaction, open since offset ${open.firstOffset}`
      return { severity: 'warning', message }
    }
    if (!open) this.#open.set(producerId, { epoch: producerEpoch, firstOffset: baseOffset })
    if (!open || open.epoch === producerEpoch || this.#gaps.lieIn(open.firstOffset, baseOffset)) return undefined
    const message = `epoch ${producerEpoch} of producer ${producerId} wrote into the transaction of epoch ${open.epoch}`
    return { severity: 'warning', message }
  }

  #marker(header: BatchHeader, bytes: Uint8Array, at: number): Pick<Finding, 'severity' | 'message'> | undefined {
    const marker = readMarker(bytes, at, header)
    if (!marker) return { severity: 'error', message: 'a control batch that is not the end of a transaction' }
    const { producerId, producerEpoch } = marker
    const open = this.#open.get(producerId)
    this.#open.delete(producerId)
    if (marker.outcome === 'abort') {
      this.#aborts.set(header.baseOffset, { producerId, firstOffset: open?.firstOffset })
    }
    if (!open || open.epoch <= producerEpoch || this.#gaps.lieIn(open.firstOffset, header.baseOffset)) return undefined
    const message = `a marker of epoch ${producerEpoch} ends the transaction of producer ${producerId}'s epoch ${open.epoch}`
    return { severity: 'error', message }
  }

  /** Of the segment that was read last. `endOffset` is where the index ends. */
  *index(segment: SegmentFile, endOffset: number, { aborted }: SparseIndex): Generator<Finding> {
    const file = indexNameOf(segment)
    const named = new Set<number>()
    for (const { producerId, firstOffset, lastOffset } of aborted.entries()) {
      named.add(lastOffset)
      const abort = this.#aborts.get(lastOffset)
      if (abort?.producerId === producerId && this.#beganAt(abort, firstOffset) && lastOffset < endOffset) continue
      if (
        this.#gaps.lieIn(firstOffset, lastOffset + 1) ||
        this.#gaps.lieIn(abort?.firstOffset ?? lastOffset, lastOffset + 1)
      )
        continue
      const message = `says that producer ${producerId} aborted what it wrote from offset ${firstOffset} to ${lastOffset}`
      yield { severity: 'error', file, offset: lastOffset, message: `${message}; the log says otherwise` }
    }
    for (const [offset, { producerId, firstOffset }] of this.#aborts) {
      if (firstOffset === undefined || named.has(offset) || offset >= endOffset) continue
      if (this.#gaps.lieIn(firstOffset, offset)) continue
      const message = `lacks the transaction of producer ${producerId} that was aborted at offset ${offset}`
      yield { severity: 'error', file, offset, message }
    }
  }

  /** Of the same segment. */
  *manifest({ baseOffset, abortedFrom }: SealedSegment): Generator<Finding> {
    let least = Number.POSITIVE_INFINITY
    for (const { firstOffset } of this.#aborts.values()) least = Math.min(least, firstOffset ?? least)
    const told = abortedFrom ?? Number.POSITIVE_INFINITY
    if (told === least || told < this.#logStart || (this.#isCompacted && told < least)) return
    if (this.#gaps.lieIn(Math.min(told, least))) return
    const message = `transactions aborted in segment ${baseOffset} begin at offset ${least}, the manifest says ${told}`
    yield { severity: 'error', file: 'manifest', offset: baseOffset, message }
  }

  /** `table` was taken at the end of the log. */
  *snapshot(file: string, table: ProducerTable): Generator<Finding> {
    const told = new Map(table.transactions.list().map(({ producerId, firstOffset }) => [producerId, firstOffset]))
    for (const [producerId, firstOffset] of told) {
      const open = this.#open.get(producerId)
      if (open?.firstOffset === firstOffset || firstOffset < this.#logStart) continue
      if (this.#gaps.lieIn(Math.min(firstOffset, open?.firstOffset ?? firstOffset))) continue
      const message = `says that the transaction of producer ${producerId} is open since offset ${firstOffset}; it is not`
      yield { severity: 'error', file, message }
    }
    for (const [producerId, { firstOffset }] of this.#open) {
      if (told.has(producerId) || this.#gaps.lieIn(firstOffset)) continue
      const message = `lacks the transaction of producer ${producerId} that is open since offset ${firstOffset}`
      yield { severity: 'error', file, message }
    }
  }

  #beganAt({ firstOffset = Number.POSITIVE_INFINITY }: Abort, told: number): boolean {
    return told === firstOffset || told < this.#logStart || (this.#isCompacted && told < firstOffset)
  }
}
