/**
 * How a replica lies in IndexedDB: one database per replica and format.
 *
 *   meta       'replicaId', 'claimNumber', 'movedTo', 'life', 'sealing', and documents (idb-documents.ts)
 *   topics     topicId                            StoredTopic
 *   positions  [topicId, partition]               StoredPosition      and 'owner': the writer's token
 *   chunks     [topicId, partition, last offset]  ChunkRow            so one get(lowerBound) finds any offset
 *   outbox     key                                OutboxRow
 *   sealed     key                                SealedBatch
 *   producers  [topicId, partition]               ProducerIdentity    and 'owner' again
 *   settled    id                                 SettledWrite
 *
 * The token lies twice so that transactions of the replica and of the outbox share no store: those that do, wait for
 * each other, and a lone strict write would stand behind megabytes of deliveries.
 *
 * A changed layout is a new FORMAT, so a new database that copies the old one (idb-copy.ts). The version of a database
 * is never raised: an upgrade waits for those who have the old one open and do not hear of it (a frozen tab), and unsent
 * writes must not. Tables may (table/idb-format.ts).
 */
import type { DBSchema, IDBPDatabase } from 'idb'
import type { KeptNote } from './idb-documents.ts'
import type { SealingRecord } from './sealed/encryption.ts'
import type { ChunkRow, StoredDocument, StoredPosition, StoredTopic } from './store.ts'
import type { OutboxRow, ProducerIdentity, SealedBatch, SettledWrite } from './store-outbox.ts'

export const FORMAT = 1

/** In place of a writer's token, once the user was logged out. */
export const ENDED = 'ended'

export type PartitionKey = [topicId: string, partition: number]
export type ChunkKey = [topicId: string, partition: number, lastOffset: number]

export interface ReplicaSchema extends DBSchema {
  meta: { key: string; value: string | number | SealingRecord | StoredDocument | KeptNote[] }
  topics: { key: string; value: StoredTopic }
  positions: { key: PartitionKey | 'owner'; value: StoredPosition | string }
  chunks: { key: ChunkKey; value: ChunkRow }
  outbox: { key: number; value: OutboxRow }
  sealed: { key: number; value: SealedBatch }
  producers: { key: PartitionKey | 'owner'; value: ProducerIdentity | string }
  settled: { key: string; value: SettledWrite }
}

export type ReplicaDatabase = IDBPDatabase<ReplicaSchema>

export const ALL_STORES = [
  'meta',
  'topics',
  'positions',
  'chunks',
  'outbox',
  'sealed',
  'producers',
  'settled',
] as const satisfies ReadonlyArray<keyof ReplicaSchema>

export const databaseName = (replica: string, format = FORMAT): string => `ottla/${replica}/${format}`

export function createStores(database: ReplicaDatabase | IDBDatabase): void {
  for (const name of ALL_STORES) (database as IDBDatabase).createObjectStore(name)
}
