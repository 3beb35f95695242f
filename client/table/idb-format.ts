/**
 * How tables lie in IndexedDB: one database beside that of each replica.
 *
 *   tables     topicId                        StoredTable
 *   positions  [topicId, partition]           TablePosition
 *   rows       [topicId, key]                 StoredRow
 *   entries    [topicId, index, at, key]      0
 *
 * Keys are binary, which IndexedDB compares as bytes.
 */

export const STORES = ['tables', 'positions', 'rows', 'entries'] as const
export type StoreName = (typeof STORES)[number]
/** Of one transaction. */
export type StoreOf = (name: StoreName) => IDBObjectStore

/** An array compares as greater than all bytes. */
export const BEHIND_BYTES: IDBValidKey = []

export const tablesDatabaseName = (replica: string): string => `ottla-tables/${replica}/1`

export const allOf = (topicId: string): IDBKeyRange => IDBKeyRange.bound([topicId], [topicId, BEHIND_BYTES])
