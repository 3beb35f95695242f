/**
 * Keeps what is stored of a partition in order, a slice at a time between what else is written: small rows are merged, and
 * what the policy or the topic's table no longer needs is dropped.
 */
import type { ReplicaPolicy } from '../core.ts'
import type { ChunkWriter } from './chunk-writer.ts'
import { MERGED_ROW_BYTES_MIN } from './row-size.ts'
import type { ChunkRow, ReplicaStore, StoredPosition } from './store.ts'
import { isTrimDue, planMerge, planTrim, SLICE_BYTES, SMALL_ROWS_MAX } from './upkeep.ts'

export interface TidyingOptions {
  store: ReplicaStore
  writer: ChunkWriter
  nowMs: () => number
  position: () => StoredPosition
  policy: () => ReplicaPolicy
  isClosed: () => boolean
  /** The store has it. */
  tidied: (position: StoredPosition) => void
}

export class Tidying {
  readonly #options: TidyingOptions
  #smallRows = SMALL_ROWS_MAX
  #isMerging = false
  #isTrimming = false
  #takenIn: number

  constructor(options: TidyingOptions) {
    this.#options = options
    // Until the table has said how far it is, nothing of what is kept for it goes.
    this.#takenIn = options.policy().onlyForTable ? 0 : Number.POSITIVE_INFINITY
  }

  /** How far the topic's table has come; Infinity: as far as is known it has none. */
  get takenInUpTo(): number {
    return this.#takenIn
  }

  /** The table does not need what lies below `offset`. */
  takenIn(offset: number): void {
    this.#takenIn = offset
  }

  wrote(rows: readonly ChunkRow[]): void {
    for (const row of rows) if (row.bytes.length < MERGED_ROW_BYTES_MIN) this.#smallRows++
  }

  /** Begins a merge or a trim when one is due. `checkAge`: also look at the age of what is oldest. */
  look(checkAge: boolean): void {
    const { writer } = this.#options
    const [position, policy] = [this.#options.position(), this.#options.policy()]
    if (this.#smallRows >= SMALL_ROWS_MAX && !this.#isMerging && position.nextOffset > position.mergedUpTo) {
      this.#isMerging = true
      this.#smallRows = 0
      writer.run(() => this.#mergeSlice(this.#options.position().mergedUpTo))
    }
    const isAgeDue = checkAge && policy.ageMsMax !== undefined
    if ((isAgeDue || isTrimDue(position, policy, this.#takenIn)) && !this.#isTrimming) {
      this.#isTrimming = true
      writer.run(() => this.#trimSlice())
    }
  }

  /** Drops what the policy no longer keeps, and `dropBytes` beyond it. Only from within the writer. Resolves with the bytes freed. */
  async dropOldest(dropBytes: number): Promise<number> {
    const { store, nowMs, tidied } = this.#options
    const before = this.#options.position()
    const oldest = await store.readChunks(before.topicId, before.partition, before.start, SLICE_BYTES)
    const policy = this.#options.policy()
    const plan = planTrim(before, oldest, { policy, nowMs: nowMs(), dropBytes, takenIn: this.#takenIn })
    if (!plan) return 0
    await store.replaceChunks(plan)
    tidied(plan.position)
    return before.sizeBytes - plan.position.sizeBytes
  }

  async #mergeSlice(from: number): Promise<void> {
    const { store, writer, isClosed, tidied } = this.#options
    this.#isMerging = false
    const { topicId, partition } = this.#options.position()
    const rows = isClosed() ? [] : await store.readChunks(topicId, partition, from, SLICE_BYTES)
    const plan = planMerge(this.#options.position(), rows)
    if (!plan) return
    await store.replaceChunks(plan)
    tidied(plan.position)
    const { mergedUpTo, nextOffset } = plan.position
    if (mergedUpTo <= from || mergedUpTo >= nextOffset) return
    this.#isMerging = true
    writer.run(() => this.#mergeSlice(mergedUpTo))
  }

  async #trimSlice(): Promise<void> {
    this.#isTrimming = false
    const freed = this.#options.isClosed() ? 0 : await this.dropOldest(0)
    if (freed === 0) return
    this.#isTrimming = true
    this.#options.writer.run(() => this.#trimSlice())
  }
}
