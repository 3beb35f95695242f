/**
 * The end of a user's time on this device: what a replica holds is wiped, in steps that a crash may interrupt anywhere.
 *
 *   note the intent -> wipe the database, in one transaction -> delete what lies beside it -> forget the intent
 *
 * Invariants: from the noted intent on the end is certain: whoever opens a replica next at this origin, whichever one,
 * finishes it first. The wiped database stays, empty, and counts its lives: so a tab that slept through its end is refused
 * instead of beginning anew under the old user's name. One life is ended once, however many finish it.
 */
import { deleteDB, openDB } from 'idb'
import type { Clock } from '../../protocol/lib/clock.ts'
import { type Random, systemRandom } from '../../protocol/lib/random.ts'
import { randomUuid } from '../../protocol/lib/uuid.ts'
import { checkThereIsIndexedDb } from './idb-connection.ts'
import { IdbStore } from './idb-store.ts'
import { StoreError, storeErrorFrom } from './store-error.ts'

export interface Ending {
  /** Which life of the replica ends. */
  life: number
  /** Unsent writes stay, for when the same user comes again. */
  keepOutbox: boolean
  /** The application's own caches (Cache Storage) that go with it. */
  caches: readonly string[]
}

const INTENTS = 'ottla-ending/'
const PLAN = 'plan'

export async function noteIntent(replica: string, ending: Ending): Promise<void> {
  try {
    const database = await openDB(INTENTS + replica, 1, { upgrade: (fresh) => void fresh.createObjectStore(PLAN) })
    const transaction = database.transaction(PLAN, 'readwrite', { durability: 'strict' })
    await Promise.all([transaction.store.put(ending, PLAN), transaction.done])
    database.close()
  } catch (failure) {
    throw storeErrorFrom(failure, `noting the end of replica ${replica}`)
  }
}

/** Resolves when nothing of `replica` is left to be ended; others are finished on the way, and hold up nobody. */
export async function finishEndings(replica: string, clock: Clock): Promise<void> {
  checkThereIsIndexedDb()
  const names = (await indexedDB.databases?.())?.map(({ name }) => name) ?? [INTENTS + replica]
  const begun = names.flatMap((name) => (name?.startsWith(INTENTS) ? name.slice(INTENTS.length) : []))
  for (const other of begun) if (other !== replica) finishEnding(other, clock).catch(() => {})
  if (begun.includes(replica)) await finishEnding(replica, clock)
}

/** Does nothing when no intent is noted, or somebody else has finished it. */
export async function finishEnding(replica: string, clock: Clock, random: Random = systemRandom): Promise<void> {
  await inTurn(replica, async () => {
    const ending = await intentOf(replica)
    if (!ending) return
    await wipe(replica, ending, clock, random)
    await Promise.all([
      deleteDB(tablesBeside(replica)),
      ...ending.caches.map((name) => (globalThis.caches ? caches.delete(name) : false)),
    ])
    await deleteDB(INTENTS + replica)
  })
}

/** tablesDatabaseName of table/idb-store.ts, which is loaded with the first table. */
const tablesBeside = (replica: string) => `ottla-tables/${replica}/1`

async function intentOf(replica: string): Promise<Ending | undefined> {
  let isMissing = false
  try {
    const database = await openDB(INTENTS + replica, undefined, {
      upgrade(_database, _from, _to, transaction) {
        isMissing = true
        transaction.done.catch(() => {})
        transaction.abort()
      },
      blocking: (_current, _wanted, event) => (event.target as IDBDatabase).close(),
    })
    // A crash may have left it without its plan: then nothing had begun.
    const plan = database.objectStoreNames.contains(PLAN) ? await database.get(PLAN, PLAN) : undefined
    database.close()
    return plan ?? { life: -1, keepOutbox: true, caches: [] }
  } catch (failure) {
    if (isMissing) return undefined
    throw failure
  }
}

async function wipe(replica: string, { life, keepOutbox }: Ending, clock: Clock, random: Random): Promise<void> {
  const store = new IdbStore({ replica, clock })
  try {
    await store.claim({ token: randomUuid(random), newReplicaId: randomUuid(random), life })
    await store.end(keepOutbox)
  } catch (failure) {
    // That life has ended already.
    if (!(failure instanceof StoreError) || failure.kind !== 'logged-out') throw failure
  } finally {
    await store.close()
  }
}

/** Where there are no Web Locks, two that finish at once may delete a table that is made anew meanwhile: it is read again. */
async function inTurn(replica: string, act: () => Promise<void>): Promise<void> {
  const locks = (globalThis.navigator as Partial<Navigator> | undefined)?.locks
  if (locks) await locks.request(INTENTS + replica, act)
  else await act()
}
