/**
 * The store in IndexedDB.
 *
 * Each unit is one transaction, which reads the writer's token first and is aborted when it is not ours. Puts are issued
 * without waiting for that read: the transaction is only committed after it. Replica units are relaxed, outbox units
 * strict. `commit()` is explicit: without it a page that navigates away loses what was put (measured in all engines).
 */
import { type IDBPTransaction, unwrap } from 'idb'
import { type Clock, systemClock } from '../../protocol/lib/clock.ts'
import { Emitter } from '../../protocol/lib/events.ts'
import { completionOf } from './idb-completion.ts'
import { IdbConnection } from './idb-connection.ts'
import { OLDER_FORMATS, type OlderFormat, takeOverOlder } from './idb-copy.ts'
import { asDamage, intactBelow, readOutboxPage, readOutboxRows } from './idb-damage.ts'
import { DOCUMENT_LIST, documentKey, documentsOf, type KeptNote, listWith } from './idb-documents.ts'
import {
  ALL_STORES,
  createStores,
  databaseName,
  ENDED,
  type ReplicaDatabase,
  type ReplicaSchema,
} from './idb-format.ts'
import { beginFreshLog } from './idb-fresh-log.ts'
import { readChunkRows } from './idb-read.ts'
import type { SealingRecord } from './sealed/encryption.ts'
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
import { classifyStoreFailure, loggedOutError, StoreError } from './store-error.ts'
import type { OutboxChange, OutboxRow, ProducerIdentity } from './store-outbox.ts'

type StoreName = (typeof ALL_STORES)[number]
type WriteTransaction = IDBPTransaction<ReplicaSchema, StoreName[], 'readwrite'>
type Puts = (storeOf: (name: StoreName) => IDBObjectStore) => void

const REPLICA_STORES: StoreName[] = ['positions', 'chunks']
const OUTBOX_STORES: StoreName[] = ['producers', 'outbox', 'sealed', 'settled']
const AFTER_ALL_STRINGS: IDBValidKey = []

export interface IdbStoreOptions {
  /** The replica's name; databases of different names share nothing. */
  replica: string
  clock?: Clock
  /** Layouts that are taken over when a database in one of them is found; newest first. */
  olderFormats?: readonly OlderFormat[]
}

export class IdbStore implements ReplicaStore {
  readonly durability = 'device'
  readonly #connection: IdbConnection
  readonly #interrupted = new Emitter<void>()
  readonly #replica: string
  readonly #clock: Clock
  readonly #olderFormats: readonly OlderFormat[]
  #token = ''
  #freshLog: Promise<void> = Promise.resolve()

  constructor({ replica, clock = systemClock, olderFormats = OLDER_FORMATS }: IdbStoreOptions) {
    this.#replica = replica
    this.#clock = clock
    this.#olderFormats = olderFormats
    this.#connection = new IdbConnection(databaseName(replica), clock, createStores, () => this.#interrupted.emit())
  }

  async claim(claim: StoreClaim): Promise<StoreContents> {
    const contents = await this.#connection.run('claiming the replica', async (database) => {
      await takeOverOlder(this.#replica, database, claim.token, this.#olderFormats)
      return claimIn(database, claim)
    })
    this.#token = claim.token
    this.#freshLog = beginFreshLog(this.#clock)
    return contents
  }

  /** How rows are encrypted; undefined: they are not, or there are none. Changes nothing. */
  readSealing(): Promise<SealingRecord | undefined> {
    return this.#connection.run('opening the replica', async (database) => {
      return (await database.get('meta', 'sealing')) as SealingRecord | undefined
    })
  }

  /** The same rows from now on under another record. */
  putSealing(record: SealingRecord): Promise<void> {
    return this.#unit('changing the secret', ['positions', 'meta'], 'strict', (storeOf) => {
      storeOf('meta').put(record, 'sealing')
    })
  }

  /** The end of the last row below that of `offset`. */
  intactBelow(topicId: string, partition: number, offset: number): Promise<number> {
    return this.#connection.run('reading chunks', (database) =>
      intactBelow(unwrap(database) as IDBDatabase, { topicId, partition, offset }),
    )
  }

  putTopics(topics: readonly StoredTopic[]): Promise<void> {
    return this.#unit('storing topics', ['positions', 'topics'], 'relaxed', (storeOf) => {
      for (const topic of topics) storeOf('topics').put(topic, topic.topicId)
    })
  }

  dropTopic(topicId: string): Promise<void> {
    return this.#unit('dropping a topic', ['positions', 'chunks', 'topics', 'meta'], 'relaxed', (storeOf) => {
      storeOf('meta').delete(documentsOf(topicId))
      const all = IDBKeyRange.bound([topicId], [topicId, []])
      storeOf('topics').delete(topicId)
      storeOf('positions').delete(all)
      storeOf('chunks').delete(all)
    })
  }

  commitDelivery(deliveries: readonly Delivery[]): Promise<void> {
    return this.#unit('storing deliveries', REPLICA_STORES, 'relaxed', (storeOf) => {
      for (const { position, chunks } of deliveries) putChunks(storeOf, position, chunks)
    })
  }

  replaceChunks({ position, fromOffset, toOffset, chunks }: ChunkReplacement): Promise<void> {
    return this.#unit('replacing chunks', REPLICA_STORES, 'relaxed', (storeOf) => {
      if (fromOffset < toOffset) storeOf('chunks').delete(lastOffsetsBetween(position, fromOffset, toOffset))
      putChunks(storeOf, position, chunks)
    })
  }

  readChunks(
    topicId: string,
    partition: number,
    offset: number,
    bytesMax: number,
    overheadBytes = 0,
  ): Promise<ChunkRow[]> {
    const read = { topicId, partition, offset, bytesMax, overheadBytes }
    return this.#connection.run('reading chunks', async (wrapped) => {
      const database = unwrap(wrapped) as IDBDatabase
      try {
        return await readChunkRows(database, read)
      } catch (failure) {
        throw await asDamage(database, read, failure)
      }
    })
  }

  readDocument(topicId: string, documentId: string): Promise<StoredDocument | undefined> {
    return this.#connection.run('reading a document', async (database) => {
      const reading = database.get('meta', documentKey(topicId, documentId)) as Promise<StoredDocument | undefined>
      return reading.catch((failure: unknown) => {
        if (classifyStoreFailure(failure) !== 'corrupt') throw failure
        return undefined
      })
    })
  }

  putDocument(document: StoredDocument): Promise<void> {
    return this.#withDocuments('keeping a document', (meta, list, there) => {
      const { topicId, documentId, update } = document
      const next = listWith(list, there, document)
      for (const key of next.gone) meta.delete(key)
      meta.put({ ...document, update: ownBytes(update) }, documentKey(topicId, documentId))
      meta.put(next.list, DOCUMENT_LIST)
    })
  }

  async dropDocuments(): Promise<boolean> {
    let hadAny = false
    await this.#withDocuments('dropping documents', (meta, _list, there) => {
      hadAny = there.length > 0
      meta.delete(documentsOf())
      meta.delete(DOCUMENT_LIST)
    })
    return hadAny
  }

  changeOutbox(change: OutboxChange): Promise<void> {
    const { durability = 'strict' } = change
    return this.#unit('changing the outbox', OUTBOX_STORES, durability, (storeOf) => {
      const [outbox, sealed] = [storeOf('outbox'), storeOf('sealed')]
      const [producers, settled] = [storeOf('producers'), storeOf('settled')]
      for (const key of change.deleteRows ?? []) outbox.delete(key)
      for (const row of change.putRows ?? []) outbox.put({ ...row, batch: ownBytes(row.batch) }, row.key)
      for (const key of change.deleteSealed ?? []) sealed.delete(key)
      for (const batch of change.putSealed ?? []) sealed.put(batch, batch.key)
      for (const { topicId, partition } of change.deleteIdentities ?? []) producers.delete([topicId, partition])
      for (const each of change.putIdentities ?? []) producers.put(each, [each.topicId, each.partition])
      for (const id of change.deleteSettled ?? []) settled.delete(id)
      for (const write of change.putSettled ?? []) settled.put(write, write.id)
    })
  }

  readOutbox(afterKey: number, countMax: number): Promise<OutboxRow[]> {
    return this.#connection.run('reading the outbox', (database) =>
      readOutboxPage(unwrap(database) as IDBDatabase, afterKey, countMax),
    )
  }

  readOutboxRows(keys: readonly number[]): Promise<Array<OutboxRow | undefined>> {
    return this.#connection.run('reading the outbox', (database) =>
      readOutboxRows(unwrap(database) as IDBDatabase, keys),
    )
  }

  end(keepOutbox: boolean): Promise<void> {
    return this.#write('ending this life of the replica', (database) => endIn(database, this.#token, keepOutbox))
  }

  onInterrupted(listener: () => void): () => void {
    return this.#interrupted.on(listener)
  }

  close(): Promise<void> {
    return this.#connection.close()
  }

  #withDocuments(
    what: string,
    change: (meta: IDBObjectStore, list: readonly KeptNote[], there: readonly string[]) => void,
  ): Promise<void> {
    return this.#write(what, async (database) => {
      const transaction = database.transaction(['positions', 'meta'], 'readwrite', { durability: 'relaxed' })
      const meta = transaction.objectStore('meta')
      const [list, there] = await Promise.all([meta.get(DOCUMENT_LIST), meta.getAllKeys(documentsOf())])
      await guardedTransaction(transaction as WriteTransaction, 'positions', this.#token, (storeOf) =>
        change(storeOf('meta'), (list ?? []) as KeptNote[], there),
      )
    })
  }

  #unit(what: string, stores: StoreName[], durability: IDBTransactionDurability, puts: Puts): Promise<void> {
    return this.#write(what, (database) =>
      guardedTransaction(database.transaction(stores, 'readwrite', { durability }), stores[0]!, this.#token, puts),
    )
  }

  #write(what: string, unit: (database: ReplicaDatabase) => Promise<void>): Promise<void> {
    return this.#connection.run(what, async (database) => {
      await this.#freshLog
      await unit(database)
    })
  }
}

/** `guard` is the store among those of the transaction that holds the token. */
async function guardedTransaction(
  transaction: WriteTransaction,
  guard: StoreName,
  token: string,
  puts: Puts,
): Promise<void> {
  const raw = unwrap(transaction) as IDBTransaction
  const done = completionOf(raw)
  transaction.done.catch(() => {})
  const reading = transaction.objectStore(guard).get('owner')
  reading.catch(() => {})
  try {
    puts((name) => raw.objectStore(name))
  } catch (failure) {
    abortQuietly(raw)
    throw failure
  }
  const owner = await reading.catch((failure: unknown) => done.then(() => Promise.reject(failure)))
  if (owner !== token) {
    abortQuietly(raw)
    await done.catch(() => {})
    throw notOurs(owner)
  }
  raw.commit?.()
  await done
}

async function endIn(database: ReplicaDatabase, token: string, keepOutbox: boolean): Promise<void> {
  const transaction = database.transaction([...ALL_STORES], 'readwrite', { durability: 'strict' })
  const life = Number((await transaction.objectStore('meta').get('life')) ?? 0)
  await guardedTransaction(transaction, 'positions', token, (storeOf) => {
    for (const name of keepOutbox ? (['topics', 'positions', 'chunks'] as const) : ALL_STORES) storeOf(name).clear()
    for (const name of ['positions', 'producers'] as const) storeOf(name).put(ENDED, 'owner')
    storeOf('meta').delete(documentsOf())
    storeOf('meta').delete(DOCUMENT_LIST)
    storeOf('meta').put(life + 1, 'life')
  })
}

function notOurs(owner: unknown): StoreError {
  if (owner === ENDED) return loggedOutError()
  return owner === undefined
    ? new StoreError('evicted', "this origin's database was cleared")
    : new StoreError('fenced', 'another writer has taken the replica over')
}

function abortQuietly(transaction: IDBTransaction): void {
  try {
    transaction.abort()
  } catch {
    // It has ended already: its own error is the one to report.
  }
}

async function claimIn(database: ReplicaDatabase, claim: StoreClaim): Promise<StoreContents> {
  const { token, newReplicaId } = claim
  const transaction = database.transaction([...ALL_STORES], 'readwrite', { durability: 'strict' })
  const raw = unwrap(transaction) as IDBTransaction
  const done = completionOf(raw)
  transaction.done.catch(() => {})
  const meta = transaction.objectStore('meta')
  const [storedId, movedTo, storedLife, sealing] = await Promise.all([
    meta.get('replicaId'),
    meta.get('movedTo'),
    meta.get('life'),
    meta.get('sealing') as Promise<SealingRecord | undefined>,
  ])
  if (movedTo !== undefined) {
    transaction.abort()
    throw new StoreError('moved', `the replica was moved to format ${movedTo} by a newer version; load the page again`)
  }
  const isNew = storedId === undefined
  // What was cleared goes on in the life of whoever it was cleared under.
  const life = Number(storedLife ?? (isNew ? (claim.life ?? 0) : 0))
  if ((claim.life ?? life) !== life) {
    transaction.abort()
    throw loggedOutError()
  }
  if (sealing?.id !== claim.sealing?.id && (sealing || !isNew)) {
    transaction.abort()
    throw new StoreError('locked', sealing ? 'the replica is encrypted' : 'the replica lies here in plain')
  }
  if (isNew) {
    if (claim.sealing) raw.objectStore('meta').put(claim.sealing, 'sealing')
    raw.objectStore('meta').put(newReplicaId, 'replicaId')
    raw.objectStore('meta').put(life, 'life')
    for (const name of ['topics', 'positions', 'chunks']) raw.objectStore(name).clear()
  }
  for (const name of ['positions', 'producers']) raw.objectStore(name).put(token, 'owner')
  const claimNumber = Number((await meta.get('claimNumber')) ?? 0) + 1
  raw.objectStore('meta').put(claimNumber, 'claimNumber')
  const arrays = IDBKeyRange.lowerBound(AFTER_ALL_STRINGS)
  const [topics, positions, sealed, identities, settled] = await Promise.all([
    transaction.objectStore('topics').getAll(),
    transaction.objectStore('positions').getAll(arrays),
    transaction.objectStore('sealed').getAll(),
    transaction.objectStore('producers').getAll(arrays),
    transaction.objectStore('settled').getAll(),
  ])
  raw.commit?.()
  await done
  return {
    replicaId: String(storedId ?? newReplicaId),
    isNew,
    claimNumber,
    life,
    topics,
    positions: positions as StoredPosition[],
    sealed,
    identities: identities as ProducerIdentity[],
    settled,
  }
}

function putChunks(
  storeOf: (name: StoreName) => IDBObjectStore,
  position: StoredPosition,
  chunks: readonly ChunkRow[],
): void {
  const { topicId, partition } = position
  for (const chunk of chunks) {
    storeOf('chunks').put({ ...chunk, bytes: ownBytes(chunk.bytes) }, [topicId, partition, chunk.nextOffset - 1])
  }
  storeOf('positions').put(position, [topicId, partition])
}

function lastOffsetsBetween(position: StoredPosition, from: number, to: number): IDBKeyRange {
  const { topicId, partition } = position
  // No offset reaches infinity; IndexedDB takes it as a key.
  return IDBKeyRange.bound([topicId, partition, from], [topicId, partition, to], false, true)
}

/** A view is stored with the whole buffer under it, in all engines. */
function ownBytes(bytes: Uint8Array): Uint8Array {
  return bytes.byteLength === bytes.buffer.byteLength ? bytes : bytes.slice()
}
