/**
 * What the replica answers to who reads it: the rows that it holds from an offset on.
 *
 * Invariant: nothing is empty without a reason that is told otherwise. Where all has been compacted away a row without records
 * says so, or a reader would ask for ever; where rows were dropped or the database was cleared, the change of range follows.
 */
import type { ReplicaRange, StoredChunk } from '../core.ts'
import type { OttlaError } from '../errors.ts'
import { storageFailure } from '../storage-failure.ts'
import type { Replica } from './replica.ts'
import type { ReplicaStore } from './store.ts'
import { CorruptChunks, type StoreError } from './store-error.ts'
import { toStoredChunk } from './stored-chunk.ts'

export interface HeldReadsParts {
  store: Pick<ReplicaStore, 'readChunks'>
  replica: Replica
  /** Returns what the reader is told. */
  noteTrouble(trouble: OttlaError | StoreError): OttlaError
}

export class HeldReads {
  readonly #parts: HeldReadsParts

  constructor(parts: HeldReadsParts) {
    this.#parts = parts
  }

  async read(topicId: string, partition: number, offset: number, bytesMax: number): Promise<StoredChunk[]> {
    const { store, replica, noteTrouble } = this.#parts
    const before = this.#rangeAt(topicId, partition, offset)
    const rows = await store.readChunks(topicId, partition, offset, bytesMax).catch((failure: unknown) => {
      const error = noteTrouble(storageFailure(failure))
      if (!(failure instanceof CorruptChunks)) throw error
      // Fetched again: readers are told of the cut, and then of what came.
      replica.dropDamaged(failure)
      return null
    })
    if (rows === null || rows.length > 0) return (rows ?? []).map(toStoredChunk)
    const held = this.#rangeAt(topicId, partition, offset)
    // Dropped during the read, to be fetched again.
    if (!before || held?.generation !== before.generation) return []
    if (!(await replica.isIntact())) return []
    return [{ baseOffset: offset, nextOffset: before.end, batches: new Uint8Array(0) }]
  }

  #rangeAt(topicId: string, partition: number, offset: number): ReplicaRange | undefined {
    const range = this.#parts.replica.ranges().find((each) => each.topicId === topicId && each.partition === partition)
    return range && offset >= range.start && offset < range.end ? range : undefined
  }
}
