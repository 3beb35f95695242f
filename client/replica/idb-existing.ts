/** A database that somebody else has made; undefined when there is none, which stays so. */
import { answerTo } from './idb-request.ts'

export async function openExisting(name: string): Promise<IDBDatabase | undefined> {
  if (!globalThis.indexedDB) return undefined
  let isMissing = false
  const opening = indexedDB.open(name)
  opening.onupgradeneeded = () => {
    isMissing = true
    opening.transaction!.abort()
  }
  try {
    return await answerTo(opening)
  } catch (failure) {
    if (isMissing) return undefined
    throw failure
  }
}
