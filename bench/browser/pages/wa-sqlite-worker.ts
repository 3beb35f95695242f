/** The peer in SQL: wa-sqlite (PowerSync's build) on OPFSCoopSyncVFS, one row a record, 10,000 records a transaction. */
import * as SQLite from '@journeyapps/wa-sqlite'
import createModule from '@journeyapps/wa-sqlite/dist/wa-sqlite.mjs'
import wasmUrl from '@journeyapps/wa-sqlite/dist/wa-sqlite.wasm?url'
import { OPFSCoopSyncVFS } from '@journeyapps/wa-sqlite/src/examples/OPFSCoopSyncVFS.js'
import { seededRandom } from '../../../protocol/lib/random.ts'
import { RECORD_BYTES, SEEKS, type SyncRequest } from './contract.ts'
import { storeInTurn } from './frames.ts'
import { percentile } from './percentile.ts'
import { serveWorker } from './serve-worker.ts'
import { timesOf } from './timing.ts'

const TRANSACTION_RECORDS = 10_000
/** It reads a fifth of a million records a second. */
const SCANNED_RECORDS = 200_000

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

/** SELECTs are prepared by each call, as applications do it. */
async function use(records: number) {
  const startedMs = performance.now()
  const { sqlite, database } = await openDatabase()
  const valueAt = async (offset: number) => {
    let found = 0
    await sqlite.exec(database, `SELECT value FROM log WHERE offset = ${offset}`, () => void found++)
    if (found !== 1) throw new Error(`offset ${offset} is missing`)
  }
  await valueAt(0)
  const firstRecordMs = performance.now() - startedMs
  const random = seededRandom(7)
  const seeks = await timesOf(SEEKS, () => valueAt(Math.floor(random.next() * records)))
  const scanned = Math.min(records, SCANNED_RECORDS)
  const scanStartedMs = performance.now()
  let read = 0
  await sqlite.exec(database, `SELECT value FROM log WHERE offset < ${scanned}`, () => void read++)
  const replayRecordsPerS = (read / (performance.now() - scanStartedMs)) * 1_000
  await sqlite.close(database)
  return { firstRecordMs, seekP50Ms: percentile(seeks, 0.5), seekP99Ms: percentile(seeks, 0.99), replayRecordsPerS }
}

serveWorker(async (asked) => (asked.task === 'sync' ? sync(asked.request) : use(asked.records)))
