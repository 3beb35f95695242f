/**
 * The peer that replicates: PouchDB, bulkDocs of 1,000 documents, each one record as Base64. Only its store is used, not
 * its replication protocol, which would make it slower.
 */
import PouchDB from 'pouchdb-browser'
import { RECORD_BYTES, type SyncRequest } from './contract.ts'
import { storeInTurn } from './frames.ts'
import { serveWorker } from './serve-worker.ts'

const BULK_RECORDS = 1_000

const idOf = (offset: number) => String(offset).padStart(10, '0')

async function sync({ url }: SyncRequest) {
  const database = new PouchDB('pouch', { revs_limit: 1 })
  let offset = 0
  const { lastMs: ms } = await storeInTurn(url, async (frame) => {
    let documents: object[] = []
    for (let at = 0; at < frame.length; at += RECORD_BYTES) {
      const value = btoa(String.fromCharCode(...frame.subarray(at, at + RECORD_BYTES)))
      documents.push({ _id: idOf(offset++), value })
      if (documents.length < BULK_RECORDS && at + RECORD_BYTES < frame.length) continue
      await database.bulkDocs(documents)
      documents = []
    }
  })
  const { doc_count: rows } = await database.info()
  if (rows !== offset) throw new Error(`PouchDB kept ${rows} of ${offset} documents`)
  return { ms, recordsPerS: (offset / ms) * 1_000, rows, rowKb: RECORD_BYTES / 1_000 }
}

serveWorker(async (asked) => {
  if (asked.task === 'sync') return sync(asked.request)
  throw new Error(`PouchDB has no ${asked.task}`)
})
