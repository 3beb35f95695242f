/** Reading chunks out of an open database; shared by the writer's store and the pages' reader. */
import { answerTo } from './idb-request.ts'
import type { ChunkRow } from './store.ts'

export interface ChunkRead {
  topicId: string
  partition: number
  offset: number
  bytesMax: number
  /** Bytes of each row that do not count: what encryption has added. */
  overheadBytes?: number
}

/** How many rows one request fetches ahead: as many as are likely to fit, if they are as large as the one before them. */
const PAGE_ROWS_MAX = 64
const PAGE_ROW_BYTES_MIN = 64 * 1024

/** From the row that holds `offset`, or the next one above it, ascending. One `get` when one row is enough. */
export async function readChunkRows(database: IDBDatabase, read: ChunkRead): Promise<ChunkRow[]> {
  const store = database.transaction('chunks').objectStore('chunks')
  const { topicId, partition, bytesMax, overheadBytes = 0 } = read
  const endOfPartition = [topicId, partition, []] as unknown as IDBValidKey
  const from = (offset: number) => IDBKeyRange.bound([topicId, partition, offset], endOfPartition)
  const first: ChunkRow | undefined = await answerTo(store.get(from(read.offset)))
  if (!first) return []
  const rows = [first]
  let sizeBytes = first.bytes.length - overheadBytes
  while (sizeBytes < bytesMax) {
    const likelyBytes = Math.max(PAGE_ROW_BYTES_MIN, rows.at(-1)!.bytes.length)
    const countMax = Math.min(PAGE_ROWS_MAX, Math.ceil((bytesMax - sizeBytes) / likelyBytes))
    const page: ChunkRow[] = await answerTo(store.getAll(from(rows.at(-1)!.nextOffset), countMax))
    for (const row of page) {
      if (sizeBytes + row.bytes.length - overheadBytes > bytesMax) return rows
      rows.push(row)
      sizeBytes += row.bytes.length - overheadBytes
    }
    if (page.length < countMax) return rows
  }
  return rows
}
