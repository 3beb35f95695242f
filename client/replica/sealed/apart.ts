/** Encryption of replica and outbox, as one module: loaded by a core that is asked for it. Built as encryption.js. */
import type { IdbStore } from '../idb-store.ts'
import type { ReplicaStore } from '../store.ts'
import type { Encryption } from './encryption.ts'
import { newRowKey, openRowKey } from './row-key.ts'
import { RowSealer } from './row-sealer.ts'
import { SealedStore } from './sealed-store.ts'

export { newRowKey, openRowKey, RowSealer }

/** Rejects `locked` before anything is claimed: who has the wrong secret disturbs nobody who has the right one. */
export async function openSealedStore(store: IdbStore, encryption: Encryption): Promise<ReplicaStore> {
  const stored = await store.readSealing()
  const { record, key } = stored ? await openRowKey(stored, encryption) : await newRowKey(encryption)
  return new SealedStore(store, new RowSealer(key), record)
}
