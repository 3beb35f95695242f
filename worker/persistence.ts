/**
 * Whether the browser has promised to keep what lies here. It is asked at the moment at which that matters: when a write waits
 * on the device. Some browsers then ask the person, which at the start of a page would come out of nowhere.
 *
 * Pages only: workers cannot ask.
 */
import type { Status } from '../client/core.ts'

export type PersistWhen = 'when-writes-wait' | 'never'

export interface PersistingPage {
  status(): Status
  onStatus(listener: (status: Status) => void): () => void
  notePersisted(isPersisted: boolean): void
}

/** Tells what is so now, and asks when it is time. */
export function watchPersistence(page: PersistingPage, when: PersistWhen): void {
  const storage = navigator.storage as Partial<StorageManager> | undefined
  const unlisten = page.onStatus(look)
  let isAsked = when === 'never'
  void quietly(() => storage?.persisted?.()).then((isPersisted) => {
    if (isPersisted !== null) page.notePersisted(isPersisted)
    if (isPersisted) isAsked = true
    look()
  })
  function look(): void {
    const { outbox, state } = page.status()
    if (state === 'closed' || isAsked) return unlisten()
    if (outbox.pendingEntries + outbox.parkedEntries === 0) return
    isAsked = true
    void askToPersist(page)
  }
}

/** null: this browser cannot be asked. A person who is asked may take their time. */
export async function askToPersist(page: PersistingPage): Promise<boolean | null> {
  const storage = navigator.storage as Partial<StorageManager> | undefined
  const isPersisted = await quietly(() => storage?.persist?.())
  if (isPersisted !== null) page.notePersisted(isPersisted)
  return isPersisted
}

async function quietly(ask: () => Promise<boolean> | undefined): Promise<boolean | null> {
  try {
    return (await ask()) ?? null
  } catch {
    // Not allowed here: an opaque origin, say.
    return null
  }
}
