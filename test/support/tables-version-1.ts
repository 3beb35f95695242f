/**
 * Puts a tables' database back into what version 1 was: entries of indexes in a store of their own, none in the rows. Nothing
 * from around it is used, as tests send it into pages too.
 */
export async function putBackToVersion1(name: string): Promise<void> {
  const answerTo = <T>(request: IDBRequest<T>) =>
    new Promise<T>((resolve, reject) => {
      request.onsuccess = () => resolve(request.result)
      request.onerror = () => reject(request.error)
    })
  const now = await answerTo(indexedDB.open(name))
  const stores = ['tables', 'positions', 'rows']
  const transaction = now.transaction(stores)
  const contents = await Promise.all(
    stores.map(async (store) => ({
      store,
      keys: await answerTo(transaction.objectStore(store).getAllKeys()),
      values: await answerTo(transaction.objectStore(store).getAll()),
    })),
  )
  now.close()
  await answerTo(indexedDB.deleteDatabase(name))
  const opening = indexedDB.open(name, 1)
  opening.onupgradeneeded = () => {
    const database = opening.result
    const entries = database.createObjectStore('entries')
    for (const { store, keys, values } of contents) {
      const made = database.createObjectStore(store)
      keys.forEach((key, at) => {
        const { entries: own = [], ...value } = values[at]
        made.put(value, key)
        for (const entry of own) entries.put(0, entry)
      })
    }
  }
  const old = await answerTo(opening)
  old.close()
}
