/** Reading chunks out of an open database; shared by the writer's store and the pages' reader. */
import { answerTo } from './idb-request.ts'
import { MERGED_ROW_BYTES_MIN } from './row-size.ts'
import type { ChunkRow } from './store.ts'

export interface ChunkRead {
  topicId: string
  partition: number
  offset: number
  bytesMax: number
  /** Bytes of each row that do not count: what encryption has added. */
  overheadBytes?: number
}

/** Of one request, about. Chromium answers four requests of this size in half the time of one that is four times as large. */
const REQUEST_BYTES = 256 * 1024

/** Of the rows that were read last, by partition: so many are asked for as are likely to fit. */
const rowBytesSeen = new WeakMap<IDBDatabase, Map<string, number>>()

/** From the row that holds `offset`, or the next one above it, ascending: about `bytesMax`, one at least if there is any. */
export async function readChunkRows(database: IDBDatabase, read: ChunkRead): Promise<ChunkRow[]> {
  const store = database.transaction('chunks').objectStore('chunks')
  const { topicId, partition, bytesMax, overheadBytes = 0 } = read
  const endOfPartition = [topicId, partition, []] as unknown as IDBValidKey
  const seen = rowBytesSeen.get(database) ?? new Map<string, number>()
  rowBytesSeen.set(database, seen)
  const place = `${topicId}/${partition}`
  const rows: ChunkRow[] = []
  let leftBytes = bytesMax
  for (;;) {
    const likelyBytes = Math.max(MERGED_ROW_BYTES_MIN, seen.get(place) ?? bytesMax)
    const countMax = Math.max(1, Math.floor(Math.min(REQUEST_BYTES, leftBytes) / likelyBytes))
    const from = [topicId, partition, rows.at(-1)?.nextOffset ?? read.offset]
    const page = await nextRows(store, IDBKeyRange.bound(from, endOfPartition), countMax)
    for (const row of page) {
      const rowBytes = row.bytes.length - overheadBytes
      if (rows.length > 0 && rowBytes > leftBytes) return rows
      rows.push(row)
      leftBytes -= rowBytes
    }
    if (page.length < countMax) return rows
    const rowBytes = (bytesMax - leftBytes) / rows.length
    seen.set(place, rowBytes)
    // Another one would most likely not fit.
    if (leftBytes < rowBytes) return rows
  }
}

/** One is found faster by `get`. */
async function nextRows(store: IDBObjectStore, from: IDBKeyRange, countMax: number): Promise<ChunkRow[]> {
  if (countMax > 1) return answerTo<ChunkRow[]>(store.getAll(from, countMax))
  const row = await answerTo<ChunkRow | undefined>(store.get(from))
  return row ? [row] : []
}
