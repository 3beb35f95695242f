import { StoredCore } from './local-core.ts'
import type { LocalCore, LocalCoreOptions } from './local-core-options.ts'
import { claimBy, openStore } from './open-store.ts'
import { storageFailure } from './storage-failure.ts'

/**
 * Opens the store, makes it this core's own, and takes what is in it into use.
 *
 * Rejects STORAGE_FAILED when the replica's database cannot be opened, REPLACED when a newer format has moved it, LOGGED_OUT
 * when it is to be opened in a life that has ended.
 */
export async function openLocalCore(options: LocalCoreOptions): Promise<LocalCore> {
  const { random, life = null } = options
  const store = await openStore(options).catch((failure: unknown) => {
    throw storageFailure(failure)
  })
  try {
    const contents = await store.claim({ ...claimBy(random), life })
    const core = new StoredCore(options, store, contents)
    await core.open()
    return core
  } catch (failure) {
    await store.close()
    throw storageFailure(failure)
  }
}
