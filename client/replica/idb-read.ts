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

/** Of one request, about. Chromium answers four requests of this size in half the time of one that is four times as large. */
const REQUEST_BYTES = 256 * 1024
/** Small rows may have large ones behind them. */
const ROW_BYTES_MIN = 16 * 1024

/** From the row that holds `offset`, or the next one above it, ascending: about `bytesMax`, one at least if there is any. */
export async function readChunkRows(
  database: IDBDatabase,
  { topicId, partition, offset, bytesMax, overheadBytes = 0 }: ChunkRead,
): Promise<ChunkRow[]> {
  const store = database.transaction('chunks').objectStore('chunks')
  const endOfPartition = [topicId, partition, []]
  const from = (next: number) => IDBKeyRange.bound([topicId, partition, next], endOfPartition)
  const first: ChunkRow | undefined = await answerTo(store.get(from(offset)))
  if (!first) return []
  const rows = [first]
  for (let leftBytes = bytesMax - first.bytes.length + overheadBytes; ; ) {
    const rowBytes = (bytesMax - leftBytes) / rows.length
    if (leftBytes < rowBytes) return rows
    const countMax = Math.max(1, Math.floor(Math.min(REQUEST_BYTES, leftBytes) / Math.max(ROW_BYTES_MIN, rowBytes)))
    const page: ChunkRow[] = await answerTo(store.getAll(from(rows.at(-1)!.nextOffset), countMax))
    for (const row of page) leftBytes -= row.bytes.length - overheadBytes
    rows.push(...page)
    if (page.length < countMax) return rows
  }
}
