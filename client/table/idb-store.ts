/**
 * Tables in IndexedDB: a database beside the replica's, so that neither waits for the other's transactions.
 *
 * Units are relaxed: after a power cut rows and position go back together, and what is missing is read again.
 */
import { unwrap } from 'idb'
import { type Clock, systemClock } from '../../protocol/lib/clock.ts'
import { completionOf } from '../replica/idb-completion.ts'
import { IdbConnection } from '../replica/idb-connection.ts'
import { answerTo } from '../replica/idb-request.ts'
import { storeErrorFrom } from '../replica/store-error.ts'
import type { PlacedRow, StoredRow } from './fold.ts'
import { entryOf, prefixOf } from './idb-entry.ts'
import {
  allOf,
  type KeptRow,
  STORES,
  type StoreName,
  type StoreOf,
  TABLES_VERSION,
  tablesDatabaseName,
  upgradeTables,
} from './idb-format.ts'
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
    const name = tablesDatabaseName(replica)
    this.#connection = new IdbConnection(name, clock, upgradeTables, undefined, TABLES_VERSION)
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
      for (const name of ['positions', 'rows'] as const) storeOf(name).delete(allOf(topicId))
    })
  }

  async change(
    topicId: string,
    keys: readonly Uint8Array[],
    expected: TablePosition | null,
    compute: (rows: ReadonlyArray<StoredRow | undefined>) => RowChange,
  ): Promise<void> {
    await this.#run('changing a table', STORES, 'readwrite', async (storeOf, transaction) => {
      const done = completionOf(transaction)
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
      for (const key of change.deletes) storeOf('rows').delete([topicId, key] as never)
      for (const row of change.puts) storeOf('rows').put(keptRow(topicId, row), [topicId, row.key] as never)
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
    return this.#run('reading a table', ['rows'], 'readonly', (storeOf) => pageIn(storeOf, query))
  }

  count(query: CountQuery): Promise<number> {
    return this.#run('counting a table', ['rows'], 'readonly', (storeOf) => countIn(storeOf, query))
  }

  close(): Promise<void> {
    return this.#connection.close()
  }

  #write(what: string, stores: readonly StoreName[], puts: (storeOf: StoreOf) => void): Promise<void> {
    return this.#run(what, stores, 'readwrite', async (storeOf, transaction) => {
      const done = completionOf(transaction)
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

function keptRow(topicId: string, { places, ...row }: PlacedRow): KeptRow {
  const entries = places.map(({ index, at }) => entryOf(prefixOf(topicId, index), { at, key: row.key }))
  return { ...row, entries }
}
