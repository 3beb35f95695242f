/**
 * How a replica changes its layout: the new format is another database, which takes over what the old one holds.
 *
 *   old: mark as moved, fence its writer -> copy in pages -> new: mark as complete -> delete old when nobody holds it
 *
 * Invariants: nobody ever waits for a tab with the old format, which is only fenced; until the copy is complete it may
 * stop anywhere and is begun again; two tabs that copy at once do not mix, the later one takes over.
 */
import { deleteDB, type IDBPDatabase, openDB, unwrap } from 'idb'
import { completionOf } from './idb-completion.ts'
import { ALL_STORES, databaseName, FORMAT, type ReplicaDatabase } from './idb-format.ts'
import { StoreError } from './store-error.ts'

/** A layout that was in use once. */
export interface OlderFormat {
  format: number
  /** A row in today's layout; undefined drops it (what can be fetched again need not be converted). */
  convert(store: CopiedStore, value: unknown): unknown
}

export type CopiedStore = Exclude<(typeof ALL_STORES)[number], 'meta'>

/** Newest first. A format is added here when FORMAT is raised. */
export const OLDER_FORMATS: readonly OlderFormat[] = []

const COPIED_STORES = ALL_STORES.filter((name): name is CopiedStore => name !== 'meta')
const COPIED_META = ['replicaId', 'claimNumber']
const PAGE_ROWS = 64
const COMPLETE = 'copyComplete'
const COPIER = 'copiedBy'

/** Does nothing when there is no older database, or it was copied before. `token` is random. */
export async function takeOverOlder(
  replica: string,
  target: ReplicaDatabase,
  token: string,
  olderFormats: readonly OlderFormat[] = OLDER_FORMATS,
): Promise<void> {
  if (olderFormats.length === 0 || (await target.get('meta', COMPLETE)) !== undefined) return
  for (const older of olderFormats) {
    const name = databaseName(replica, older.format)
    const source = await openIfThere(name)
    if (!source) continue
    try {
      await fence(source, token)
      if (!(await begin(target, token))) return
      for (const store of COPIED_STORES) await copyStore(source, target, store, older, token)
      await finish(source, target, token)
    } finally {
      source.close()
    }
    // Held open by a tab with the old format, it goes when that tab does.
    deleteDB(name).catch(() => {})
    return
  }
}

async function openIfThere(name: string): Promise<IDBPDatabase | undefined> {
  let isMissing = false
  try {
    return await openDB(name, undefined, {
      upgrade(_database, _from, _to, transaction) {
        isMissing = true
        transaction.done.catch(() => {})
        transaction.abort()
      },
      blocking: (_current, _wanted, event) => (event.target as IDBDatabase).close(),
    })
  } catch (failure) {
    if (isMissing) return undefined
    throw failure
  }
}

/** From here on the old format's writer is refused, and its next claim is told to load the page again. */
async function fence(source: IDBPDatabase, token: string): Promise<void> {
  const transaction = source.transaction(['meta', 'positions', 'producers'], 'readwrite', { durability: 'strict' })
  await Promise.all([
    transaction.objectStore('meta').put(FORMAT, 'movedTo'),
    transaction.objectStore('positions').put(token, 'owner'),
    transaction.objectStore('producers').put(token, 'owner'),
    transaction.done,
  ])
}

/** False when somebody else has completed the copy. Drops what an interrupted one left. */
async function begin(target: ReplicaDatabase, token: string): Promise<boolean> {
  const transaction = target.transaction([...ALL_STORES], 'readwrite', { durability: 'strict' })
  const meta = transaction.objectStore('meta')
  if ((await meta.get(COMPLETE)) !== undefined) return false
  for (const name of ALL_STORES)
    void transaction
      .objectStore(name)
      .clear()
      .catch(() => {})
  void meta.put(token, COPIER).catch(() => {})
  await transaction.done
  return true
}

async function copyStore(
  source: IDBPDatabase,
  target: ReplicaDatabase,
  store: CopiedStore,
  older: OlderFormat,
  token: string,
): Promise<void> {
  for (let after: IDBKeyRange | undefined; ; ) {
    const reading = source.transaction(store).store
    const [keys, values] = await Promise.all([reading.getAllKeys(after, PAGE_ROWS), reading.getAll(after, PAGE_ROWS)])
    await putPage(target, store, keys, values, older, token)
    if (keys.length < PAGE_ROWS) return
    after = IDBKeyRange.lowerBound(keys.at(-1)!, true)
  }
}

async function putPage(
  target: ReplicaDatabase,
  store: CopiedStore,
  keys: readonly IDBValidKey[],
  values: readonly unknown[],
  older: OlderFormat,
  token: string,
): Promise<void> {
  const transaction = target.transaction(['meta', store], 'readwrite', { durability: 'strict' })
  const done = completionOf(unwrap(transaction) as IDBTransaction)
  transaction.done.catch(() => {})
  await checkCopier(transaction.objectStore('meta'), token)
  const into = transaction.objectStore(store) as unknown as { put(value: unknown, key: IDBValidKey): Promise<unknown> }
  keys.forEach((key, index) => {
    const converted = key === 'owner' ? undefined : older.convert(store, values[index])
    if (converted !== undefined) into.put(converted, key).catch(() => {})
  })
  await done
}

async function finish(source: IDBPDatabase, target: ReplicaDatabase, token: string): Promise<void> {
  const kept = await Promise.all(COPIED_META.map((key) => source.get('meta', key)))
  const transaction = target.transaction('meta', 'readwrite', { durability: 'strict' })
  transaction.done.catch(() => {})
  await checkCopier(transaction.store, token)
  COPIED_META.forEach((key, index) => {
    const value = kept[index] as string | number | undefined
    if (value !== undefined) transaction.store.put(value, key).catch(() => {})
  })
  transaction.store.put(FORMAT, COMPLETE).catch(() => {})
  await transaction.done
}

async function checkCopier(meta: { get(key: string): Promise<unknown> }, token: string): Promise<void> {
  if ((await meta.get(COPIER)) !== token) throw new StoreError('fenced', 'another tab took the copying over')
}
