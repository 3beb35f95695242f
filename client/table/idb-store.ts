/**
 * Tables in IndexedDB: a database beside the replica's, so that neither waits for the other's transactions.
 *
 *   tables     topicId                        StoredTable
 *   positions  [topicId, partition]           TablePosition
 *   rows       [topicId, key]                 StoredRow
 *   entries    [topicId, index, at, key]      0
 *
 * Keys are binary, which IndexedDB compares as bytes. Units are relaxed: after a power cut rows and position go back
 * together, and what is missing is read again.
 */
import { unwrap } from 'idb'
import { type Clock, systemClock } from '../../protocol/lib/clock.ts'
import { IdbConnection } from '../replica/idb-connection.ts'
import { answerTo } from '../replica/idb-request.ts'
import { storeErrorFrom } from '../replica/store-error.ts'
import type { StoredRow } from './fold.ts'
import type { KeyInterval } from './key-order.ts'
import { fenced } from './memory-store.ts'
import {
  isSamePlace,
  type PageQuery,
  type PageRow,
  type RowChange,
  type StoredTable,
  type TablePosition,
  type TableStore,
} from './store.ts'

const STORES = ['tables', 'positions', 'rows', 'entries'] as const
const BEHIND_BYTES: IDBValidKey = []

export const tablesDatabaseName = (replica: string): string => `ottla-tables/${replica}/1`

export class IdbTableStore implements TableStore {
  readonly #connection: IdbConnection

  constructor(replica: string, clock: Clock = systemClock) {
    this.#connection = new IdbConnection(tablesDatabaseName(replica), clock, (database) => {
      for (const name of STORES) database.createObjectStore(name)
    })
  }

  load(topic: string): Promise<{ table: StoredTable; positions: TablePosition[] } | undefined> {
    return this.#run('opening a table', ['tables', 'positions'], 'readonly', async (storeOf) => {
      const tables = await answerTo<StoredTable[]>(storeOf('tables').getAll())
      const table = tables.find((each) => each.topic === topic)
      if (!table) return undefined
      return { table, positions: await answerTo<TablePosition[]>(storeOf('positions').getAll(allOf(table.topicId))) }
    })
  }

  putTable(table: StoredTable): Promise<void> {
    return this.#write('storing a table', ['tables'], (storeOf) => {
      storeOf('tables').put(table, table.topicId)
    })
  }

  dropTable(topicId: string): Promise<void> {
    return this.#write('dropping a table', STORES, (storeOf) => {
      storeOf('tables').delete(topicId)
      for (const name of ['positions', 'rows', 'entries'] as const) storeOf(name).delete(allOf(topicId))
    })
  }

  dropIndex(topicId: string, index: string): Promise<void> {
    return this.#write('dropping an index', ['entries'], (storeOf) => {
      storeOf('entries').delete(IDBKeyRange.bound([topicId, index], [topicId, index, BEHIND_BYTES]))
    })
  }

  async change(
    topicId: string,
    keys: readonly Uint8Array[],
    expected: TablePosition | null,
    compute: (rows: ReadonlyArray<StoredRow | undefined>) => RowChange,
  ): Promise<void> {
    await this.#run('changing a table', STORES, 'readwrite', async (storeOf, transaction) => {
      const done = completion(transaction)
      const rows = await rowsIn(storeOf('rows'), topicId, keys)
      const change = compute(rows)
      const place = [topicId, change.position.partition]
      const [table, position] = await Promise.all([
        answerTo<StoredTable | undefined>(storeOf('tables').get(topicId)),
        answerTo<TablePosition | undefined>(storeOf('positions').get(place)),
      ])
      if (!table || !isSamePlace(position, expected)) {
        transaction.abort()
        await done.catch(() => {})
        throw fenced()
      }
      for (const { index, at, key } of change.indexDeletes)
        storeOf('entries').delete([topicId, index, at, key] as never)
      for (const key of change.deletes) storeOf('rows').delete([topicId, key] as never)
      for (const row of change.puts) storeOf('rows').put(row, [topicId, row.key] as never)
      for (const { index, at, key } of change.indexPuts) storeOf('entries').put(0, [topicId, index, at, key] as never)
      storeOf('positions').put(change.position, place)
      transaction.commit?.()
      await done
    })
  }

  rows(topicId: string, keys: readonly Uint8Array[]): Promise<Array<StoredRow | undefined>> {
    return this.#run('reading a table', ['rows'], 'readonly', (storeOf) => rowsIn(storeOf('rows'), topicId, keys))
  }

  page(query: PageQuery): Promise<PageRow[]> {
    return this.#run('reading a table', ['rows', 'entries'], 'readonly', async (storeOf) => {
      const range = rangeOf(query)
      if (!range) return []
      const { topicId, index, countMax, isReverse } = query
      if (index === null) {
        const rows = await pageOf<StoredRow>(storeOf('rows'), range, countMax, isReverse, 'value')
        return rows.map((row) => ({ at: row.key, row }))
      }
      const entries = await pageOf<IDBValidKey[]>(storeOf('entries'), range, countMax, isReverse, 'key')
      const places = entries.map(([, , at, key]) => ({ at: bytesOf(at), key: bytesOf(key) }))
      const rows = await rowsIn(
        storeOf('rows'),
        topicId,
        places.map(({ key }) => key),
      )
      return places.flatMap(({ at }, place) => (rows[place] ? [{ at, row: rows[place] }] : []))
    })
  }

  count(query: Pick<PageQuery, 'topicId' | 'index' | 'from' | 'to'>): Promise<number> {
    const name = query.index === null ? 'rows' : 'entries'
    return this.#run('counting a table', [name], 'readonly', async (storeOf) => {
      const range = rangeOf({ ...query, after: null, isReverse: false })
      return range ? await answerTo(storeOf(name).count(range)) : 0
    })
  }

  close(): Promise<void> {
    return this.#connection.close()
  }

  #write(what: string, stores: readonly StoreName[], puts: (storeOf: StoreOf) => void): Promise<void> {
    return this.#run(what, stores, 'readwrite', async (storeOf, transaction) => {
      const done = completion(transaction)
      puts(storeOf)
      transaction.commit?.()
      await done
    })
  }

  async #run<T>(
    what: string,
    stores: readonly StoreName[],
    mode: IDBTransactionMode,
    unit: (storeOf: StoreOf, transaction: IDBTransaction) => Promise<T>,
  ): Promise<T> {
    try {
      return await this.#connection.run(what, (wrapped) => {
        const database = unwrap(wrapped) as unknown as IDBDatabase
        const transaction = database.transaction([...stores], mode, { durability: 'relaxed' })
        return unit((name) => transaction.objectStore(name), transaction)
      })
    } catch (failure) {
      throw storeErrorFrom(failure, what)
    }
  }
}

type StoreName = (typeof STORES)[number]
type StoreOf = (name: StoreName) => IDBObjectStore

const allOf = (topicId: string) => IDBKeyRange.bound([topicId], [topicId, BEHIND_BYTES])

function completion(transaction: IDBTransaction): Promise<void> {
  const done = new Promise<void>((resolve, reject) => {
    transaction.oncomplete = () => resolve()
    transaction.onabort = () =>
      reject(transaction.error ?? new DOMException('the transaction was aborted', 'AbortError'))
  })
  // Awaited by whoever began it; until then a rejection must not count as unhandled.
  done.catch(() => {})
  return done
}

function rowsIn(
  store: IDBObjectStore,
  topicId: string,
  keys: readonly Uint8Array[],
): Promise<Array<StoredRow | undefined>> {
  return Promise.all(keys.map((key) => answerTo<StoredRow | undefined>(store.get([topicId, key] as never))))
}

/** null: nothing can lie in it. */
function rangeOf({ topicId, index, from, to, after, isReverse }: Omit<PageQuery, 'countMax'>): IDBKeyRange | null {
  const base: IDBValidKey[] = index === null ? [topicId] : [topicId, index]
  const at = (edge: KeyInterval['from']) => (edge === null ? undefined : [...base, edge as never])
  const behind =
    after && (index === null ? [...base, after.key as never] : [...base, after.at as never, after.key as never])
  let [lower, lowerOpen]: [IDBValidKey, boolean] = [at(from) ?? base, false]
  let [upper, upperOpen]: [IDBValidKey, boolean] = [at(to) ?? [...base, BEHIND_BYTES], true]
  if (behind && isReverse) [upper, upperOpen] = [behind, true]
  if (behind && !isReverse) [lower, lowerOpen] = [behind, true]
  const compared = indexedDB.cmp(lower, upper)
  if (compared > 0 || (compared === 0 && (lowerOpen || upperOpen))) return null
  return IDBKeyRange.bound(lower, upper, lowerOpen, upperOpen)
}

/** Forward in one request, backward by a cursor: `getAll` knows one direction only in most engines. */
function pageOf<T>(
  store: IDBObjectStore,
  range: IDBKeyRange,
  countMax: number,
  isReverse: boolean,
  wanted: 'key' | 'value',
): Promise<T[]> {
  if (!isReverse) {
    return answerTo(
      (wanted === 'key' ? store.getAllKeys(range, countMax) : store.getAll(range, countMax)) as IDBRequest<T[]>,
    )
  }
  return new Promise((resolve, reject) => {
    const found: T[] = []
    const request = (
      wanted === 'key' ? store.openKeyCursor(range, 'prev') : store.openCursor(range, 'prev')
    ) as IDBRequest
    request.onerror = () => reject(request.error)
    request.onsuccess = () => {
      const cursor = request.result as IDBCursorWithValue | null
      if (!cursor) return resolve(found)
      found.push((wanted === 'key' ? cursor.primaryKey : cursor.value) as T)
      if (found.length === countMax) return resolve(found)
      cursor.continue()
    }
  })
}

const bytesOf = (key: IDBValidKey | undefined): Uint8Array => new Uint8Array(key as ArrayBuffer)
