/**
 * How tables lie in IndexedDB: one database beside that of each replica.
 *
 *   tables     topicId                        StoredTable
 *   positions  [topicId, partition]           TablePosition
 *   rows       [topicId, key]                 KeptRow, found by each of its `entries` too
 *
 * Keys are binary, which IndexedDB compares as bytes. All indexes of all tables are one of IndexedDB's, made with the database:
 * those of applications come and go, and another of IndexedDB's own would need another version each time.
 *
 * The version is raised in place, other than a replica's (replica/idb-format.ts): a copy would need the room twice for what the
 * log can bring again, and rows must stay, as the log below them is mostly gone from the device. It waits for nobody:
 * whoever has the database open, worker or page, closes it when it hears of another version.
 */
import type { StoredRow } from './fold.ts'

export interface KeptRow extends StoredRow {
  /** In all indexes that were in force when it was written (idb-entry.ts). Version 1 has left none. */
  entries?: string[]
}

export const STORES = ['tables', 'positions', 'rows'] as const
export type StoreName = (typeof STORES)[number]
/** Of one transaction. */
export type StoreOf = (name: StoreName) => IDBObjectStore

/** Of `rows`, on the property of that name. */
export const ENTRIES = 'entries'

/** Until 1 entries lay in a store of their own, and a row was got for each. */
export const TABLES_VERSION = 2

/** An array compares as greater than all bytes. */
export const BEHIND_BYTES: IDBValidKey = []

export const tablesDatabaseName = (replica: string): string => `ottla-tables/${replica}/1`

export const allOf = (topicId: string): IDBKeyRange => IDBKeyRange.bound([topicId], [topicId, BEHIND_BYTES])

/** In the transaction of the upgrade. */
export function upgradeTables(database: IDBDatabase, from: number, transaction: IDBTransaction): void {
  if (from < 1) for (const name of STORES) database.createObjectStore(name)
  transaction.objectStore('rows').createIndex(ENTRIES, ENTRIES, { multiEntry: true })
  if (from !== 1) return
  database.deleteObjectStore('entries')
  haveIndexesMadeAnew(transaction.objectStore('tables'))
}

/** Whoever opens the table next finds none of them complete, and makes them of the rows. */
function haveIndexesMadeAnew(tables: IDBObjectStore): void {
  const request = tables.openCursor()
  request.onsuccess = () => {
    const cursor = request.result
    if (!cursor) return
    cursor.update({ ...cursor.value, indexes: {} })
    cursor.continue()
  }
}
