/** A row as it leaves the replica, whoever read it: from the store in a worker, or a page's own reads. */
import type { StoredChunk } from '../core.ts'
import type { ChunkRow } from './store.ts'

export const toStoredChunk = ({ baseOffset, nextOffset, bytes: batches, aborted }: ChunkRow): StoredChunk => ({
  ...{ baseOffset, nextOffset, batches },
  ...(aborted && { aborted }),
})
