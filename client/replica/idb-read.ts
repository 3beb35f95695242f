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

/** How many rows one request fetches ahead; small rows are many, large ones end at `bytesMax` after a few. */
const PAGE_ROWS_MAX = 64
const PAGE_ROW_BYTES_GUESS = 64 * 1024

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
    const countMax = Math.min(PAGE_ROWS_MAX, Math.ceil((bytesMax - sizeBytes) / PAGE_ROW_BYTES_GUESS) + 1)
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
