/** The peer in SQL: wa-sqlite (PowerSync's build) on OPFSCoopSyncVFS, one row a record, 10,000 records a transaction. */
import * as SQLite from '@journeyapps/wa-sqlite'
import createModule from '@journeyapps/wa-sqlite/dist/wa-sqlite.mjs'
import wasmUrl from '@journeyapps/wa-sqlite/dist/wa-sqlite.wasm?url'
import { OPFSCoopSyncVFS } from '@journeyapps/wa-sqlite/src/examples/OPFSCoopSyncVFS.js'
import { RECORD_BYTES, type SyncRequest } from './contract.ts'
import { storeInTurn } from './frames.ts'
import { serveWorker } from './serve-worker.ts'

const TRANSACTION_RECORDS = 10_000

async function openDatabase() {
  const module = await createModule({ locateFile: () => wasmUrl })
  const sqlite = SQLite.Factory(module)
  const vfs = await OPFSCoopSyncVFS.create('opfs', module)
  sqlite.vfs_register(vfs, true)
  const database = await sqlite.open_v2('log.db')
  await sqlite.exec(database, 'CREATE TABLE IF NOT EXISTS log (offset INTEGER PRIMARY KEY, value BLOB NOT NULL)')
  return { sqlite, database }
}

async function sync({ url, records }: SyncRequest) {
  const { sqlite, database } = await openDatabase()
  let offset = 0
  let statement: number | undefined
  for await (const prepared of sqlite.statements(database, 'INSERT INTO log VALUES (?, ?)', { unscoped: true })) {
    statement = prepared
  }
  if (statement === undefined) throw new Error('the insert was not prepared')
  const insert = statement
  await sqlite.exec(database, 'BEGIN')
  const { lastMs: ms } = await storeInTurn(url, async (frame) => {
    for (let at = 0; at < frame.length; at += RECORD_BYTES) {
      sqlite.bind_int(insert, 1, offset)
      sqlite.bind_blob(insert, 2, frame.subarray(at, at + RECORD_BYTES))
      await sqlite.step(insert)
      await sqlite.reset(insert)
      offset++
      if (offset % TRANSACTION_RECORDS === 0) await sqlite.exec(database, 'COMMIT; BEGIN')
    }
    if (offset === records) await sqlite.exec(database, 'COMMIT')
  })
  await sqlite.finalize(insert)
  await sqlite.close(database)
  return { ms, recordsPerS: (offset / ms) * 1_000, rows: offset, rowKb: RECORD_BYTES / 1_000 }
}

async function open(records: number) {
  const startedMs = performance.now()
  const { sqlite, database } = await openDatabase()
  const openedMs = performance.now() - startedMs
  let found = 0
  await sqlite.exec(database, `SELECT value FROM log WHERE offset = ${records >> 1}`, () => void found++)
  if (found !== 1) throw new Error('the database of an earlier run is empty')
  return { openedMs, firstRecordMs: performance.now() - startedMs }
}

serveWorker(async (asked) => {
  if (asked.task === 'sync') return sync(asked.request)
  if (asked.task === 'open') return open(asked.records)
  throw new Error(`wa-sqlite has no ${asked.task}`)
})
