/** Encryption of replica and outbox, as one module: loaded by a core that is asked for it. Built as encryption.js. */
import type { IdbStore } from '../idb-store.ts'
import type { ReplicaStore } from '../store.ts'
import { StoreError } from '../store-error.ts'
import type { Encryption, SealingRecord } from './encryption.ts'
import { newRowKey, openRowKey } from './row-key.ts'
import { RowSealer } from './row-sealer.ts'
import { SealedStore } from './sealed-store.ts'

export { newRowKey, openRowKey, RowSealer }

/** Rejects `locked` before anything is claimed: who has the wrong secret disturbs nobody who has the right one. */
export async function openSealedStore(store: IdbStore, encryption: Encryption): Promise<ReplicaStore> {
  const stored: SealingRecord | null | undefined = await store.readSealing()
  // WebKit's SharedWorkers find null where a page or a dedicated worker has stored a key.
  if (stored === null) {
    throw new StoreError(
      'locked',
      'the replica cannot be opened: this kind of worker cannot read the key that another stored',
    )
  }
  const { record, key } = stored ? await openRowKey(stored, encryption) : await newRowKey(encryption)
  return new SealedStore(store, new RowSealer(key), record)
}
