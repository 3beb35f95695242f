/**
 * Tables in IndexedDB: a database beside the replica's, so that neither waits for the other's transactions.
 *
 * Units are relaxed: after a power cut rows and position go back together, and what is missing is read again.
 */
import { unwrap } from 'idb'
import { type Clock, systemClock } from '../../protocol/lib/clock.ts'
import { IdbConnection } from '../replica/idb-connection.ts'
import { answerTo } from '../replica/idb-request.ts'
import { storeErrorFrom } from '../replica/store-error.ts'
import type { StoredRow } from './fold.ts'
import { allOf, BEHIND_BYTES, STORES, type StoreName, type StoreOf, tablesDatabaseName } from './idb-format.ts'
import { type CountQuery, countIn, pageIn, rowsIn } from './idb-read.ts'
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

export class IdbTableStore implements TableStore {
  readonly isReadByPages = true
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

  async rows(topicId: string, keys: readonly Uint8Array[]): Promise<Array<StoredRow | undefined>> {
    if (keys.length === 0) return []
    return this.#run('reading a table', ['rows'], 'readonly', (storeOf) => rowsIn(storeOf('rows'), topicId, keys))
  }

  page(query: PageQuery): Promise<PageRow[]> {
    return this.#run('reading a table', ['rows', 'entries'], 'readonly', (storeOf) => pageIn(storeOf, query))
  }

  count(query: CountQuery): Promise<number> {
    return this.#run('counting a table', ['rows', 'entries'], 'readonly', (storeOf) => countIn(storeOf, query))
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
