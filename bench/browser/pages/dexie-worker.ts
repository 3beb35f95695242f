/** The peer with objects: Dexie, bulkAdd of 1,000 records at a time. */
import Dexie, { type Table } from 'dexie'
import { RECORD_BYTES, type SyncRequest } from './contract.ts'
import { storeInTurn } from './frames.ts'
import { serveWorker } from './serve-worker.ts'

const BULK_RECORDS = 1_000

interface Row {
  offset: number
  value: Uint8Array
}

function openDatabase(): { database: Dexie; log: Table<Row, number> } {
  const database = new Dexie('dexie')
  database.version(1).stores({ log: 'offset' })
  return { database, log: database.table<Row, number>('log') }
}

async function sync({ url }: SyncRequest) {
  const { database, log } = openDatabase()
  let offset = 0
  const { lastMs: ms } = await storeInTurn(url, async (frame) => {
    let rows: Row[] = []
    for (let at = 0; at < frame.length; at += RECORD_BYTES) {
      // A copy: IndexedDB would store the whole frame behind a view, once for each record.
      rows.push({ offset: offset++, value: frame.slice(at, at + RECORD_BYTES) })
      if (rows.length < BULK_RECORDS && at + RECORD_BYTES < frame.length) continue
      await log.bulkAdd(rows)
      rows = []
    }
  })
  database.close()
  return { ms, recordsPerS: (offset / ms) * 1_000, rows: offset, rowKb: RECORD_BYTES / 1_000 }
}

serveWorker(async (asked) => {
  if (asked.task === 'sync') return sync(asked.request)
  throw new Error(`Dexie has no ${asked.task}`)
})
