/** Where a core keeps its replica and its outbox: IndexedDB, encrypted if that is asked for, or memory. */
import type { Random } from '../protocol/lib/random.ts'
import { randomUuid } from '../protocol/lib/uuid.ts'
import { loadApart } from './load-apart.ts'
import type { LocalCoreOptions } from './local-core-options.ts'
import { finishEndings } from './replica/ending.ts'
import { IdbStore } from './replica/idb-store.ts'
import { MemoryStore } from './replica/memory-store.ts'
import type { ReplicaStore } from './replica/store.ts'

export async function openStore({ store, replica, clock, encryption }: LocalCoreOptions): Promise<ReplicaStore> {
  if (store) return store
  if (replica === null) return new MemoryStore()
  await finishEndings(replica, clock)
  const plain = new IdbStore({ replica, clock })
  if (!encryption) return plain
  try {
    const { openSealedStore } = await loadApart('encryption', () => import('./replica/sealed/apart.ts'))
    return await openSealedStore(plain, encryption)
  } catch (failure) {
    await plain.close()
    throw failure
  }
}

/** By what a store knows who has it. */
export function claimBy(random: Random) {
  return { token: randomUuid(random), newReplicaId: randomUuid(random) }
}
