/** Everything that any database of this origin holds, keys and values, as text. */
export async function onTheDevice(): Promise<string> {
  const found: unknown[] = []
  for (const { name } of await indexedDB.databases()) {
    // Opened while it is being deleted, it would be made anew.
    if (name!.startsWith('ottla-ending/')) continue
    const database = await answer<IDBDatabase>(indexedDB.open(name!))
    for (const store of database.objectStoreNames) {
      const reading = database.transaction(store).objectStore(store)
      found.push(await answer(reading.getAllKeys()), await answer(reading.getAll()))
    }
    database.close()
  }
  return JSON.stringify(found, (_, value) =>
    ArrayBuffer.isView(value) ? Buffer.from(value.buffer).toString('latin1') : value,
  )
}

const answer = <T>(request: IDBRequest<T>) =>
  new Promise<T>((resolve, reject) => {
    request.onsuccess = () => resolve(request.result)
    request.onerror = () => reject(request.error)
  })
