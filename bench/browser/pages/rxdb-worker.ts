/** The peer with schemas: RxDB on its Dexie storage, bulkInsert of 1,000 documents, each one record as Base64. */
import { createRxDatabase } from 'rxdb/plugins/core'
import { getRxStorageDexie } from 'rxdb/plugins/storage-dexie'
import { RECORD_BYTES, type SyncRequest } from './contract.ts'
import { storeInTurn } from './frames.ts'
import { serveWorker } from './serve-worker.ts'

const BULK_RECORDS = 1_000

interface Document {
  id: string
  value: string
}

const schema = {
  version: 0,
  primaryKey: 'id',
  type: 'object',
  properties: { id: { type: 'string', maxLength: 20 }, value: { type: 'string' } },
  required: ['id', 'value'],
}

const idOf = (offset: number) => String(offset).padStart(10, '0')

async function sync({ url }: SyncRequest) {
  const database = await createRxDatabase({ name: 'log', storage: getRxStorageDexie(), multiInstance: false })
  const { log } = await database.addCollections<Document>({ log: { schema } })
  if (!log) throw new Error('RxDB made no collection')
  let offset = 0
  const { lastMs: ms } = await storeInTurn(url, async (frame) => {
    let documents: Document[] = []
    for (let at = 0; at < frame.length; at += RECORD_BYTES) {
      const value = btoa(String.fromCharCode(...frame.subarray(at, at + RECORD_BYTES)))
      documents.push({ id: idOf(offset++), value })
      if (documents.length < BULK_RECORDS && at + RECORD_BYTES < frame.length) continue
      const { error } = await log.bulkInsert(documents)
      if (error.length > 0) throw new Error(`RxDB refused ${error.length} documents`)
      documents = []
    }
  })
  await database.close()
  return { ms, recordsPerS: (offset / ms) * 1_000, rows: offset, rowKb: RECORD_BYTES / 1_000 }
}

serveWorker(async (asked) => {
  if (asked.task === 'sync') return sync(asked.request)
  throw new Error(`RxDB has no ${asked.task}`)
})
