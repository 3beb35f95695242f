/**
 * A page's own way to the replica: reads only, straight from IndexedDB, with no worker and no network in between.
 *
 * It opens the database only if it exists and never makes, upgrades or holds it: whoever wants to delete it gets it at
 * once. Cold start to the first record is one open and one `get`.
 */
import { openDB } from 'idb'
import type { StoredChunk } from '../core.ts'
import { databaseName, type ReplicaDatabase, type ReplicaSchema } from './idb-format.ts'
import { type ChunkRead, lastChunkRow, readChunkRows } from './idb-read.ts'
import type { ChunkRow, StoredPosition, StoredTopic } from './store.ts'
import { StoreError, storeErrorFrom } from './store-error.ts'

const AFTER_ALL_STRINGS: IDBValidKey = []

/** undefined when there is no such replica (yet). */
export async function openReplicaReader(replica: string): Promise<ReplicaReader | undefined> {
  if (typeof indexedDB === 'undefined') return undefined
  let isMissing = false
  let reader: ReplicaReader | undefined
  try {
    const database = await openDB<ReplicaSchema>(databaseName(replica), undefined, {
      upgrade(_database, _oldVersion, _newVersion, transaction) {
        isMissing = true
        transaction.done.catch(() => {})
        transaction.abort()
      },
      blocking: (_current, _wanted, event) => {
        ;(event.target as IDBDatabase).close()
        reader?.close()
      },
      terminated: () => reader?.close(),
    })
    reader = new ReplicaReader(database)
    return reader
  } catch (failure) {
    if (isMissing) return undefined
    throw storeErrorFrom(failure, `opening the replica ${replica}`)
  }
}

export class ReplicaReader {
  readonly #database: ReplicaDatabase
  #isOpen = true

  constructor(database: ReplicaDatabase) {
    this.#database = database
  }

  /** False after the database was deleted or closed under us: open another reader. */
  get isOpen(): boolean {
    return this.#isOpen
  }

  topics(): Promise<StoredTopic[]> {
    return this.#run((database) => database.getAll('topics'))
  }

  positions(): Promise<StoredPosition[]> {
    const arrays = IDBKeyRange.lowerBound(AFTER_ALL_STRINGS)
    return this.#run(async (database) => (await database.getAll('positions', arrays)) as StoredPosition[])
  }

  async position(topicId: string, partition: number): Promise<StoredPosition | undefined> {
    return (await this.#run((database) => database.get('positions', [topicId, partition]))) as
      | StoredPosition
      | undefined
  }

  /** From the chunk that holds `offset`, or the next above; about `bytesMax`, one at least if there is any. */
  async read(read: ChunkRead): Promise<StoredChunk[]> {
    return (await this.#run((database) => readChunkRows(database, read))).map(toStoredChunk)
  }

  /** The chunk at the end of the partition. */
  async last(topicId: string, partition: number): Promise<StoredChunk | undefined> {
    const row = await this.#run((database) => lastChunkRow(database, topicId, partition))
    return row && toStoredChunk(row)
  }

  close(): void {
    this.#isOpen = false
    this.#database.close()
  }

  async #run<T>(read: (database: ReplicaDatabase) => Promise<T>): Promise<T> {
    if (!this.#isOpen) throw new StoreError('closed', 'this reader of the replica is closed')
    try {
      return await read(this.#database)
    } catch (failure) {
      throw storeErrorFrom(failure, 'reading the replica')
    }
  }
}

export const toStoredChunk = ({ baseOffset, nextOffset, bytes }: ChunkRow): StoredChunk => ({
  baseOffset,
  nextOffset,
  batches: bytes,
})
