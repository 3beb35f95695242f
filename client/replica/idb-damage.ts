/** Rows that are there and cannot be read: what they are taken for, so that they hide no others. */
import type { ChunkRead } from './idb-read.ts'
import { answerTo } from './idb-request.ts'
import { CorruptChunks, classifyStoreFailure, StoreError } from './store-error.ts'
import type { OutboxRow } from './store-outbox.ts'

/** What a failed read of chunks says of the rows: where damage begins, when it is that. */
export async function asDamage(database: IDBDatabase, { topicId, partition, offset }: ChunkRead, failure: unknown) {
  if (classifyStoreFailure(failure) !== 'corrupt') return failure
  return new CorruptChunks(
    { topicId, partition, intactUpTo: await intactBelow(database, { topicId, partition, offset }) },
    failure,
  )
}

/** The row that cannot be read holds `offset`, or lies above it; its key is there, and so is that of the row before. */
export async function intactBelow(database: IDBDatabase, { topicId, partition, offset }: Omit<ChunkRead, 'bytesMax'>) {
  const below = IDBKeyRange.bound([topicId, partition], [topicId, partition, offset], false, true)
  const cursor = await answerTo(
    database.transaction('chunks').objectStore('chunks').openKeyCursor(below, 'prev') as IDBRequest<IDBCursor | null>,
  )
  return cursor ? (cursor.key as [string, number, number])[2] + 1 : 0
}

/** A row that the browser has lost does not hide the others: they are then read one by one. */
export async function readOutboxPage(database: IDBDatabase, afterKey: number, countMax: number): Promise<OutboxRow[]> {
  const outbox = () => database.transaction('outbox').objectStore('outbox')
  const above = IDBKeyRange.lowerBound(afterKey, true)
  try {
    return await answerTo(outbox().getAll(above, countMax))
  } catch (failure) {
    if (classifyStoreFailure(failure) !== 'corrupt') throw failure
  }
  const keys = (await answerTo(outbox().getAllKeys(above, countMax))) as number[]
  return Promise.all(keys.map((key) => readOutboxRow(outbox(), key)))
}

/** In the order of `keys`; undefined where there is none, or none that can be read. */
export function readOutboxRows(database: IDBDatabase, keys: readonly number[]): Promise<Array<OutboxRow | undefined>> {
  const outbox = database.transaction('outbox').objectStore('outbox')
  return Promise.all(
    keys.map(async (key) => {
      const row = await readOutboxRow(outbox, key)
      return row && isLost(row) ? undefined : row
    }),
  )
}

async function readOutboxRow(outbox: IDBObjectStore, key: number): Promise<OutboxRow> {
  try {
    return await answerTo(outbox.get(key))
  } catch (failure) {
    if (classifyStoreFailure(failure) !== 'corrupt') throw failure
    return lostRow(key)
  }
}

const isLost = ({ batch }: OutboxRow) => batch.length === 0

/** Stands for a write whose row is there and cannot be read, so that somebody learns of it. */
export function lostRow(key: number): OutboxRow {
  const error = new StoreError('corrupt', 'this device can no longer read a write that was stored').toOttlaError()
  return {
    ...{ key, id: `lost-${key}`, topic: '', partition: null, batch: new Uint8Array(0), recordCount: 0, storedAtMs: 0 },
    ...{ state: 'unknown', error: error.toInfo(), part: null },
  }
}
