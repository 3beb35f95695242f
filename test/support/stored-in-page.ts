/** Runs in a page, so it closes over nothing: the values in all databases of this origin with `part` in their names. */
export async function storedInPage(part: string): Promise<unknown[]> {
  const found: unknown[] = []
  for (const { name } of await indexedDB.databases()) {
    if (!name?.includes(part)) continue
    const database = await new Promise<IDBDatabase>((resolve) => {
      const opening = indexedDB.open(name)
      opening.onsuccess = () => resolve(opening.result)
    })
    for (const store of database.objectStoreNames) {
      const reading = database.transaction(store).objectStore(store).getAll()
      await new Promise((resolve) => (reading.onsuccess = resolve))
      found.push(...reading.result)
    }
    database.close()
  }
  return found
}
