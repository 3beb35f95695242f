/**
 * What `send` gives back: two promises for the two moments of a write.
 *
 * Invariants: `committed` settles no earlier than `stored`; each settles once. A rejection that nobody looks at is not
 * reported as unhandled: a write that was refused stays visible in the outbox until someone decides about it.
 */
import type { StoredDurability } from '../core.ts'

export interface Committed {
  partition: number
  /** -1: it is in the log, but the relay no longer knows where (it had been sent again after a very long time). */
  offset: number
  /**
   * 'fsync': it is on the relay's disk. 'relaxed': it is written and will be within the topic's flush.ms; until then a power
   * cut may take it. The topic says which (`ottla.durability`).
   */
  durability: 'fsync' | 'relaxed'
}

export interface Receipt {
  /** The id of the outbox entry that carries this record; records sent in one turn share an entry. Final once stored. */
  readonly id: string
  /**
   * On this device: 'device' survives a crash and a power cut, 'memory' lasts as long as this context (no replica).
   * Rejects ABORTED, OUTBOX_FULL, QUOTA_EXCEEDED, STORAGE_FAILED, CLOSED.
   */
  readonly stored: Promise<StoredDurability>
  /**
   * In the relay's log and, unless the topic is relaxed about it, on its disk. Waits for as long as it takes, over any number of reconnects.
   * Rejects like `stored`, and REJECTED (refused for good, parked in the outbox), OUTCOME_UNKNOWN or DISCARDED.
   */
  readonly committed: Promise<Committed>
}

/** With `receipt` in `send`'s options: a third moment. */
export interface ProcessedReceipt extends Receipt {
  /**
   * The groups asked for have committed past the record, having handled it. Waits over reconnects, from when it is
   * committed. Rejects like `committed`, and DEAD_LETTERED or SKIPPED (it was given up, and why), DEADLINE, and
   * PROCESSING_UNKNOWN: the group went past it in a way that does not tell.
   */
  readonly processed: Promise<void>
}

export class OpenReceipt implements Receipt {
  id = ''
  readonly stored: Promise<StoredDurability>
  readonly committed: Promise<Committed>
  resolveStored!: (durability: StoredDurability) => void
  resolveCommitted!: (committed: Committed) => void
  #rejectStored!: (error: unknown) => void
  #rejectCommitted!: (error: unknown) => void

  constructor() {
    this.stored = new Promise((resolve, reject) => {
      this.resolveStored = resolve
      this.#rejectStored = reject
    })
    this.committed = new Promise((resolve, reject) => {
      this.resolveCommitted = resolve
      this.#rejectCommitted = reject
    })
    this.stored.catch(() => {})
    this.committed.catch(() => {})
  }

  /** Not stored, so not to be committed either. */
  rejectBoth(error: unknown): void {
    this.#rejectStored(error)
    this.#rejectCommitted(error)
  }

  rejectCommitted(error: unknown): void {
    this.#rejectCommitted(error)
  }
}
