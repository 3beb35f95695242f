/**
 * A replica that was written by a version which did not keep aborted transactions may hold their records, and even those
 * of open ones, as if they were committed. From the first batch of a transaction on it is fetched again.
 */
import { batchesIn, isTransactional } from '../../protocol/record-batch.ts'
import type { ReplicaStore, StoredPosition } from './store.ts'

const SLICE_BYTES = 1024 * 1024

/** The offset of the first batch that belongs to a transaction; undefined when there is none. */
export async function firstInTransaction(
  store: Pick<ReplicaStore, 'readChunks'>,
  { topicId, partition, start, nextOffset }: StoredPosition,
): Promise<number | undefined> {
  for (let at = start; at < nextOffset; ) {
    const rows = await store.readChunks(topicId, partition, at, SLICE_BYTES)
    for (const { bytes } of rows) {
      for (const { header } of batchesIn(bytes)) if (isTransactional(header)) return Math.max(start, header.baseOffset)
    }
    const last = rows.at(-1)
    if (!last) return undefined
    at = last.nextOffset
  }
  return undefined
}
