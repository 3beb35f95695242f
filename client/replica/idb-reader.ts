/**
 * A page's own way to the replica: reads only, straight from IndexedDB, with no worker and no network in between.
 *
 * It opens the database only if it exists and never makes, upgrades or holds it: whoever wants to delete it gets it at
 * once. Cold start to the first record is one open, one look at what is held, and one `get`. What fails is thrown as the
 * browser says it: the page then asks its worker, which knows what is wrong with the same data.
 */
import type { StoredChunk } from '../core.ts'
import { openExisting } from './idb-existing.ts'
import { databaseName } from './idb-format.ts'
import { type ChunkRead, readChunkRows } from './idb-read.ts'
import { answerTo } from './idb-request.ts'
import type { StoredPosition, StoredTopic } from './store.ts'
import { toStoredChunk } from './stored-chunk.ts'

const AFTER_ALL_STRINGS: IDBValidKey = []

/** What the replica holds, of one moment. */
export interface ReplicaOverview {
  topics: StoredTopic[]
  positions: StoredPosition[]
}

/** undefined when there is no such replica (yet). */
export async function openReplicaReader(replica: string): Promise<ReplicaReader | undefined> {
  const database = await openExisting(databaseName(replica))
  return database && new ReplicaReader(database)
}

export class ReplicaReader {
  readonly #database: IDBDatabase
  #isOpen = true

  constructor(database: IDBDatabase) {
    this.#database = database
    database.onversionchange = () => this.close()
    database.onclose = () => this.close()
  }

  /** False after the database was deleted or closed under us: open another reader. */
  get isOpen(): boolean {
    return this.#isOpen
  }

  async overview(): Promise<ReplicaOverview> {
    const transaction = this.#database.transaction(['topics', 'positions'])
    const [topics, positions] = await Promise.all([
      answerTo<StoredTopic[]>(transaction.objectStore('topics').getAll()),
      answerTo<StoredPosition[]>(
        transaction.objectStore('positions').getAll(IDBKeyRange.lowerBound(AFTER_ALL_STRINGS)),
      ),
    ])
    return { topics, positions }
  }

  /** From the chunk that holds `offset`, or the next above; about `bytesMax`, one at least if there is any. */
  async read(read: ChunkRead): Promise<StoredChunk[]> {
    return (await readChunkRows(this.#database, read)).map(toStoredChunk)
  }

  close(): void {
    this.#isOpen = false
    this.#database.close()
  }
}
