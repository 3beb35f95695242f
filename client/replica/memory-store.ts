/**
 * The store in memory: for producers without a replica, and for tests, which may take its durable state, let it crash,
 * and open another on what was left.
 *
 * Invariant: rows are kept sorted by key, so that it finds what IndexedDB would find.
 */

import { documentKey, listWith } from './idb-documents.ts'
import { ENDED } from './idb-format.ts'
import type {
  ChunkReplacement,
  ChunkRow,
  Delivery,
  ReplicaStore,
  StoreClaim,
  StoreContents,
  StoredDocument,
  StoredPosition,
  StoredTopic,
} from './store.ts'
import { loggedOutError, StoreError } from './store-error.ts'
import type { OutboxChange, OutboxRow, ProducerIdentity, SealedBatch, SettledWrite } from './store-outbox.ts'

/** What a database file would hold. Shared by all stores that are opened on it. */
export class MemoryDatabase {
  token = ''
  replicaId = ''
  claimNumber = 0
  life: number | undefined = undefined
  topics = new Map<string, StoredTopic>()
  positions = new Map<string, StoredPosition>()
  chunks = new Map<string, ChunkRow[]>()
  documents = new Map<string, StoredDocument>()
  rows = new SortedRows<OutboxRow>()
  sealed = new SortedRows<SealedBatch>()
  identities = new Map<string, ProducerIdentity>()
  settled = new Map<string, SettledWrite>()

  /** What a browser does to an origin it evicts. */
  clear(): void {
    Object.assign(this, new MemoryDatabase())
  }

  wipe(keepOutbox: boolean): void {
    const { replicaId, claimNumber, rows, sealed, identities, settled } = this
    this.clear()
    if (keepOutbox) Object.assign(this, { replicaId, claimNumber, rows, sealed, identities, settled })
  }

  /** As it is now; rows are never changed in place, so they are shared. */
  copy(): MemoryDatabase {
    return Object.assign(new MemoryDatabase(), this, {
      topics: new Map(this.topics),
      positions: new Map(this.positions),
      chunks: new Map([...this.chunks].map(([key, rows]) => [key, [...rows]])),
      documents: new Map(this.documents),
      rows: this.rows.copy(),
      sealed: this.sealed.copy(),
      identities: new Map(this.identities),
      settled: new Map(this.settled),
    })
  }
}

/** Ascending by `key`; appends are the common case. */
class SortedRows<Row extends { key: number }> {
  #rows: Row[] = []

  copy(): SortedRows<Row> {
    const copied = new SortedRows<Row>()
    copied.#rows = [...this.#rows]
    return copied
  }

  put(row: Row): void {
    const index = this.indexFrom(row.key)
    this.#rows.splice(index, this.#rows[index]?.key === row.key ? 1 : 0, row)
  }

  delete(key: number): void {
    const index = this.indexFrom(key)
    if (this.#rows[index]?.key === key) this.#rows.splice(index, 1)
  }

  get(key: number): Row | undefined {
    const row = this.#rows[this.indexFrom(key)]
    return row?.key === key ? row : undefined
  }

  after(key: number, countMax: number): Row[] {
    const from = this.#rows[this.indexFrom(key)]?.key === key ? this.indexFrom(key) + 1 : this.indexFrom(key)
    return this.#rows.slice(from, from + countMax)
  }

  all(): Row[] {
    return [...this.#rows]
  }

  indexFrom(key: number): number {
    return firstIndex(this.#rows, (row) => row.key >= key)
  }
}

/** Binary search in rows for which `holds` is false up to some index and true from there on. */
function firstIndex<Row>(rows: readonly Row[], holds: (row: Row) => boolean): number {
  let low = 0
  let high = rows.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (holds(rows[middle]!)) high = middle
    else low = middle + 1
  }
  return low
}

const partitionKey = (topicId: string, partition: number): string => `${topicId}/${partition}`

/** A store's own buffer, never somebody else's view: the caller may reuse or transfer what it handed in. */
const ownBytes = (bytes: Uint8Array): Uint8Array => bytes.slice()

export class MemoryStore implements ReplicaStore {
  readonly durability = 'memory'
  readonly #database: MemoryDatabase
  #token = ''
  #isClosed = false

  constructor(database = new MemoryDatabase()) {
    this.#database = database
  }

  async claim(claim: StoreClaim): Promise<StoreContents> {
    if (this.#isClosed) throw new StoreError('closed', 'the store is closed')
    const database = this.#database
    database.life ??= claim.life ?? 0
    if ((claim.life ?? database.life) !== database.life) throw loggedOutError()
    const isNew = database.replicaId === ''
    if (isNew) {
      database.replicaId = claim.newReplicaId
      database.topics.clear()
      database.positions.clear()
      database.chunks.clear()
    }
    database.token = claim.token
    database.claimNumber++
    this.#token = claim.token
    return structuredClone({
      replicaId: database.replicaId,
      isNew,
      claimNumber: database.claimNumber,
      life: database.life,
      topics: [...database.topics.values()],
      positions: [...database.positions.values()],
      sealed: database.sealed.all(),
      identities: [...database.identities.values()],
      settled: [...database.settled.values()],
    })
  }

  async putTopics(topics: readonly StoredTopic[]): Promise<void> {
    const database = this.#writable()
    for (const topic of topics) database.topics.set(topic.topicId, structuredClone(topic))
  }

  async dropTopic(topicId: string): Promise<void> {
    const database = this.#writable()
    database.topics.delete(topicId)
    for (const [key, document] of database.documents) if (document.topicId === topicId) database.documents.delete(key)
    for (const { partition } of [...database.positions.values()].filter((each) => each.topicId === topicId)) {
      database.positions.delete(partitionKey(topicId, partition))
      database.chunks.delete(partitionKey(topicId, partition))
    }
  }

  async commitDelivery(deliveries: readonly Delivery[]): Promise<void> {
    const database = this.#writable()
    for (const { position, chunks } of deliveries) {
      this.#putChunks(position, chunks)
      database.positions.set(partitionKey(position.topicId, position.partition), { ...position })
    }
  }

  async replaceChunks({ position, fromOffset, toOffset, chunks }: ChunkReplacement): Promise<void> {
    const database = this.#writable()
    const key = partitionKey(position.topicId, position.partition)
    const staying = (database.chunks.get(key) ?? []).filter(
      ({ nextOffset }) => nextOffset - 1 < fromOffset || nextOffset - 1 >= toOffset,
    )
    database.chunks.set(key, staying)
    this.#putChunks(position, chunks)
    database.positions.set(key, { ...position })
  }

  async readChunks(topicId: string, partition: number, offset: number, bytesMax: number): Promise<ChunkRow[]> {
    if (this.#isClosed) throw new StoreError('closed', 'the store is closed')
    const rows = this.#database.chunks.get(partitionKey(topicId, partition)) ?? []
    const found: ChunkRow[] = []
    let sizeBytes = 0
    for (let index = firstIndex(rows, (row) => row.nextOffset > offset); index < rows.length; index++) {
      const row = rows[index]!
      if (found.length > 0 && sizeBytes + row.bytes.length > bytesMax) break
      sizeBytes += row.bytes.length
      found.push({ ...row, bytes: ownBytes(row.bytes) })
    }
    return found
  }

  async readDocument(topicId: string, documentId: string): Promise<StoredDocument | undefined> {
    const document = this.#database.documents.get(documentKey(topicId, documentId))
    return document && { ...document, update: ownBytes(document.update) }
  }

  async putDocument(document: StoredDocument): Promise<void> {
    const { documents } = this.#writable()
    const list = [...documents].map(([key, { update }]) => ({ key, sizeBytes: update.length }))
    const { gone } = listWith(list, [...documents.keys()], document)
    for (const key of gone) documents.delete(key)
    const key = documentKey(document.topicId, document.documentId)
    documents.delete(key)
    documents.set(key, { ...document, update: ownBytes(document.update) })
  }

  async dropDocuments(): Promise<boolean> {
    const { documents } = this.#writable()
    const hadAny = documents.size > 0
    documents.clear()
    return hadAny
  }

  async changeOutbox(change: OutboxChange): Promise<void> {
    const database = this.#writable()
    for (const key of change.deleteRows ?? []) database.rows.delete(key)
    for (const row of change.putRows ?? []) database.rows.put({ ...row, batch: ownBytes(row.batch) })
    for (const key of change.deleteSealed ?? []) database.sealed.delete(key)
    for (const batch of change.putSealed ?? []) database.sealed.put({ ...batch, rowKeys: [...batch.rowKeys] })
    for (const { topicId, partition } of change.deleteIdentities ?? []) {
      database.identities.delete(partitionKey(topicId, partition))
    }
    for (const identity of change.putIdentities ?? []) {
      database.identities.set(partitionKey(identity.topicId, identity.partition), { ...identity })
    }
    for (const id of change.deleteSettled ?? []) database.settled.delete(id)
    for (const write of change.putSettled ?? []) {
      database.settled.set(write.id, { ...write, partitions: [...write.partitions], offsets: [...write.offsets] })
    }
  }

  async readOutbox(afterKey: number, countMax: number): Promise<OutboxRow[]> {
    return this.#database.rows.after(afterKey, countMax).map(copyRow)
  }

  async readOutboxRows(keys: readonly number[]): Promise<Array<OutboxRow | undefined>> {
    return keys.map((key) => {
      const row = this.#database.rows.get(key)
      return row && copyRow(row)
    })
  }

  async end(keepOutbox: boolean): Promise<void> {
    const database = this.#writable()
    const { life = 0 } = database
    database.wipe(keepOutbox)
    database.life = life + 1
    database.token = ENDED
  }

  onInterrupted(): () => void {
    return () => {}
  }

  async close(): Promise<void> {
    this.#isClosed = true
  }

  #writable(): MemoryDatabase {
    if (this.#isClosed) throw new StoreError('closed', 'the store is closed')
    if (this.#database.token === '') throw new StoreError('evicted', 'the database was cleared')
    if (this.#database.token === ENDED) throw loggedOutError()
    if (this.#database.token !== this.#token) throw new StoreError('fenced', 'another writer has taken the store over')
    return this.#database
  }

  #putChunks({ topicId, partition }: StoredPosition, chunks: readonly ChunkRow[]): void {
    if (chunks.length === 0) return
    const key = partitionKey(topicId, partition)
    const rows = this.#database.chunks.get(key) ?? []
    this.#database.chunks.set(key, rows)
    for (const chunk of chunks) {
      const index = firstIndex(rows, (row) => row.nextOffset >= chunk.nextOffset)
      const isSameKey = rows[index]?.nextOffset === chunk.nextOffset
      rows.splice(index, isSameKey ? 1 : 0, { ...chunk, bytes: ownBytes(chunk.bytes) })
    }
  }
}

const copyRow = (row: OutboxRow): OutboxRow => ({ ...row, batch: ownBytes(row.batch) })
